"""Reading what serving engines return, and what is asked of them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.errors import RequestError
from vlm_confidence_tasks.probe import ProbeError, Served, escaped, find_source
from vlm_confidence_tasks.probe.labels import MOST_SPELLINGS
from vlm_confidence_tasks.probe.openai_source import read_steps
from vlm_confidence_tasks.probe.served_tokens import spelled_tokens, token_bytes, token_id
from vlm_confidence_tasks.probe.top_k import ALL, TopKStep
from vlm_confidence_tasks.probe.vllm_source import read_outputs

WORDS = ("<end>", "Yes", "No", " dog", ".")


class Rows:
    """Receives what goes wrong."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []

    def fail(self, error: BaseException) -> None:
        self.failures.append(error)


class Tokenizer:
    def get_vocab(self):
        return {word: index for index, word in enumerate(WORDS)}

    def encode(self, text, add_special_tokens=False):
        return [WORDS.index(text)] if text in WORDS else [3, 4]

    def decode(self, tokens, skip_special_tokens=True):
        return "".join(WORDS[token] for token in tokens if token or not skip_special_tokens)


class Engine:
    """What is used of a `vllm.LLM`; it says "Yes" and ends."""

    def __init__(self, max_logprobs=20, mode="raw_logprobs", model="some/model") -> None:
        self.model_config = SimpleNamespace(
            max_logprobs=max_logprobs,
            logprobs_mode=mode,
            model=model,
            revision=None,
            dtype="float32",
            quantization=None,
            get_vocab_size=lambda: len(WORDS),
        )
        device = SimpleNamespace(device_type="cpu")
        self.llm_engine = SimpleNamespace(vllm_config=SimpleNamespace(device_config=device))
        self.asked: list[SimpleNamespace] = []

    def get_tokenizer(self):
        return Tokenizer()

    def generate(self, prompts, sampling_params):
        self.asked += sampling_params
        return [output(k=parameters.logprobs) for parameters in sampling_params]

    def chat(self, messages, sampling_params):
        one = not isinstance(sampling_params, list)
        return self.generate(
            messages, [sampling_params] * len(messages) if one else sampling_params
        )


def step(token: int, *p: float, k: int = ALL) -> dict[int, SimpleNamespace]:
    """The chosen token, then the k likeliest, as vLLM lists them."""
    order = sorted(range(len(p)), key=lambda index: -p[index])[: len(p) if k == ALL else k]
    return {n: SimpleNamespace(logprob=float(np.log(p[n]))) for n in [token, *order]}


def output(k: int = ALL, stop_reason=None, finish_reason="stop", tokens=(1, 0)):
    distributions = [(0.04, 0.5, 0.3, 0.1, 0.06), (0.9, 0.04, 0.03, 0.02, 0.01)]
    text = "".join(WORDS[token] for token in tokens if token)
    answer = SimpleNamespace(
        text=text,
        token_ids=list(tokens),
        finish_reason=finish_reason,
        stop_reason=stop_reason,
        logprobs=[step(token, *p, k=k) for token, p in zip(tokens, distributions, strict=True)],
    )
    return SimpleNamespace(outputs=[answer], prompt_token_ids=[1] * 10, num_cached_tokens=4)


def asked(temperature=0, n=1):
    return SimpleNamespace(temperature=temperature, n=n, logprobs=None)


def source_of(engine: Engine):
    return find_source(SimpleNamespace(client=engine))


@pytest.mark.parametrize(
    ("allowed", "wanted", "k"),
    [(2, "", 2), (-1, "", ALL), (20, "", ALL), (2, "3", 2), (2, "1", 1), (2, "all", 2)],
)
@pytest.mark.parametrize("method", ["chat", "generate"])
def test_vllm_is_asked_for_what_it_allows(allowed, wanted, k, method, monkeypatch):
    monkeypatch.setenv("VLM_CONFIDENCE_TOP_LOGPROBS", wanted)
    engine = Engine(max_logprobs=allowed)
    source = source_of(engine)
    with source.reading(Rows(), False):
        found = getattr(engine, method)(["a", "b"], [asked(), asked()])
    assert [parameters.logprobs for parameters in engine.asked] == [k, k]
    assert source.numerics()["logprobs"] == k
    reading = source.read(found[0].outputs[0].text, ("Yes", "No"))
    assert reading.tokens == (1,) and reading.token_logprob[0] == pytest.approx(np.log(0.5))
    assert (reading.token_entropy_high is None) == (k == ALL)
    assert (reading.label_steps[0].logprob[1] == -np.inf) == (k == 1)
    # Outside of the block the engine is as it was.
    assert "chat" not in vars(engine) and "generate" not in vars(engine)


def test_one_set_of_parameters_may_stand_for_all():
    engine = Engine()
    with source_of(engine).reading(Rows(), False):
        assert len(engine.chat(["a", "b"], sampling_params=asked())) == 2
    assert engine.asked[0].logprobs == ALL


@pytest.mark.parametrize("wrong", [{"temperature": 0.7}, {"n": 2}])
def test_vllm_must_decode_greedily(wrong):
    engine, rows = Engine(), Rows()
    with source_of(engine).reading(rows, False):
        with pytest.raises(ProbeError, match="greedy decoding"):
            engine.chat(["a"], [asked(**wrong)])
    assert not engine.asked and len(rows.failures) == 1


def test_other_numbers_than_the_models_own_are_refused():
    with pytest.raises(ProbeError, match="logprobs_mode=processed_logits"):
        source_of(Engine(mode="processed_logits"))


def test_a_text_of_the_adapters_own_is_no_answer_of_vllm():
    with pytest.raises(RequestError, match="in place of an answer"):
        source_of(Engine()).read("Yes", ("Yes", "No"))


def test_where_vllm_has_its_weights_from(tmp_path):
    folder = source_of(Engine(model=str(tmp_path))).origin
    assert (folder.folder, folder.revision) == (tmp_path, None)
    hub = source_of(Engine(model="nobody/nothing")).origin
    assert (hub.name, hub.folder, hub.revision) == ("nobody/nothing", None, None)


@pytest.mark.parametrize(
    ("given", "tokens"),
    [
        ({}, [1]),
        ({"stop_reason": 0}, [1]),
        # A stop string is text, which is generated as any other.
        ({"stop_reason": "."}, [1, 0]),
        ({"finish_reason": "length"}, [1, 0]),
        ({"tokens": (0,)}, [0]),
    ],
)
def test_vllms_end_token_is_no_part_of_the_answer(given, tokens):
    if given.get("tokens") == (0,):
        one = output()
        answer = one.outputs[0]
        answer.token_ids, answer.logprobs = [0], answer.logprobs[1:]
    else:
        answer = output(**given).outputs[0]
    assert [at.token for at in read_outputs(answer)] == tokens


def test_vllms_log_probabilities_of_a_part_of_the_tokens_are_refused():
    answer = output().outputs[0]
    answer.logprobs = answer.logprobs[:1]
    with pytest.raises(RequestError, match="of 1 of 2 tokens"):
        read_outputs(answer)


def choice(
    text: str | None, *tokens: str | None, logprob: float = -0.1, reason="stop", refusal=None
):
    """An answer in OpenAI's form."""

    def entry(token):
        # A server names a token by its bytes too, or only by its text.
        whole = token is not None and token.isascii()
        return SimpleNamespace(
            token=token,
            bytes=list(token.encode()) if whole else None,
            logprob=logprob,
            top_logprobs=[SimpleNamespace(token=token, bytes=None, logprob=logprob)],
        )

    return SimpleNamespace(
        message=SimpleNamespace(content=text, refusal=refusal),
        finish_reason=reason,
        logprobs=SimpleNamespace(content=[entry(token) for token in tokens]),
    )


@pytest.mark.parametrize(
    ("text", "tokens", "count"),
    [
        ("Yes", ["Yes"], 1),
        ("Yes", ["Yes", "</s>"], 1),
        ("Yes", [" Yes", "</s>"], 1),
        ("Yes, it is", ["Yes", ",", " it", " is", "<|im_end|>"], 4),
        ("Yes", ["Yes", "\n", "</s>"], 2),
        ("", ["</s>"], 1),
        # One without a name, and what another server may list behind it.
        ("Yes", ["Yes", ""], 1),
        ("Yes", ["Yes", "", ""], 1),
        ("Yes", ["", "Yes", ""], 2),
        ("Yes", ["Yes", "\n", ""], 2),
        ("", [""], 1),
        # Of tokens of which the text is a part, all: the thinking is left out of it.
        ("Yes", ["so", " be", " it", "</think>", "Yes", "</s>"], 6),
        # Bytes that are no character alone, half of a surrogate pair, marks of white space.
        ("caf\u00e9", ["caf", "\ufffd", "\ufffd", "</s>"], 4),
        ("Yes \ud83d", ["Yes", " \ud83d", ""], 2),
        ("Yes \U0001f600!", ["Yes", " \ud83d", "\ude00", "!"], 4),
        ("Yes it is", ["Yes", "\u0120it", "\u2581is"], 3),
        ("caf\u00e9", ["caf", "\u00e9", "</s>"], 2),
    ],
)
def test_the_end_token_that_some_servers_list_is_left_out(text, tokens, count):
    steps = read_steps(choice(text, *tokens))
    named = [escaped(token) for token in tokens[:count]]
    assert [token_bytes(at.token).decode() for at in steps] == named


def test_an_end_token_may_have_no_name_and_one_that_is_cut_off_has_no_end_token():
    assert len(read_steps(choice("Yes", "Yes", None))) == 1
    assert len(read_steps(choice("Yes", "Yes", "", reason="length"))) == 2
    assert len(read_steps(choice("", "so", " be", reason="length"))) == 2


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("said otherwise", ["Yes", ".", "</s>"]),
        ("No", ["Yes"]),
        ("Yes, it is", ["Yes"]),
        ("\u732b", ["\u72d7"]),
        ("No caf\u00e9", ["Yes", "caf", "\ufffd", "\ufffd"]),
    ],
)
def test_lists_of_another_text_are_refused(text, tokens):
    with pytest.raises(RequestError, match="do not make its text"):
        read_steps(choice(text, *tokens))


def came(one, model="gpt-4o", asked="gpt-4o"):
    """A source, and the text that carries a response to it."""
    completions = SimpleNamespace(create=lambda **payload: response)
    response = SimpleNamespace(choices=[one], model=model)
    chat = SimpleNamespace(completions=completions)
    source = find_source(SimpleNamespace(client=SimpleNamespace(chat=chat), model_version=asked))
    with source.reading(Rows(), False):
        return source, completions.create().choices[0].message.content


@pytest.mark.parametrize(
    ("one", "text", "served"),
    [
        (choice("Yes", "Yes"), "Yes", Served()),
        (choice("Yes", "Yes", reason=None), "Yes", Served()),
        (choice("Yes, it", "Yes,", " it", reason="length"), "Yes, it", Served(truncated=True)),
        (choice(None, "so", " be", reason="length"), "", Served(truncated=True)),
        (choice("", "", reason="content_filter"), "", Served(filtered=True)),
        (choice(None, "x", reason="content_filter"), "", Served(filtered=True)),
        (choice(None, "No", refusal="No."), "No.", Served(refused=True)),
        (choice("", "No", refusal="No."), "No.", Served(refused=True)),
        # A message without content is no answer where there is no reason for it.
        (choice(None, "Yes"), None, Served()),
    ],
)
def test_what_a_server_says_of_an_answer_comes_with_its_text(one, text, served):
    source, carrying = came(one)
    assert carrying == text
    if text is not None:
        assert source.served(carrying) == served and source.served("Yes") == Served()


def test_an_answer_without_numbers_is_read_only_where_it_has_no_text():
    for one in (choice(None, "x", refusal="No."), choice(None, "x", reason="length")):
        source, carrying = came(one)
        one.logprobs = None
        assert source.read(carrying, ("Yes", "No")) is None
    source, carrying = came(choice("Yes", "Yes", reason="length"))
    carrying.carried.choices[0].logprobs = None
    with pytest.raises(RequestError, match="came without log-probabilities"):
        source.read(carrying, ("Yes", "No"))


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_answer_that_an_engine_broke_off_is_none(reason):
    source, carrying = came(choice("Yes", "Yes", reason=reason))
    with pytest.raises(RequestError, match=f"broke an answer off .finish_reason {reason}"):
        source.served(carrying)
    with source_of(engine := Engine()).reading(Rows(), False):
        (found,) = engine.chat(["a"], [asked()])
    vllm, text = source_of(engine), found.outputs[0].text
    assert vllm.served(text) == vllm.served("Yes") == Served()
    found.outputs[0].finish_reason = "length"
    assert vllm.served(text) == Served(truncated=True)
    found.outputs[0].finish_reason = reason
    with pytest.raises(RequestError, match="vLLM broke an answer off"):
        vllm.served(text)


@pytest.mark.parametrize(
    ("asked", "served", "same"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("openai/gpt-4o", "gpt-4o-2024-08-06", True),
        ("mistral-large-latest", "mistral-large-2411", True),
        ("gemini-1.5-pro", "models/gemini-1.5-pro-002", True),
        ("claude-opus-4-20250514", "claude-opus-4", True),
        ("gpt-4o", "", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4", "gpt-4.1", False),
        ("gpt-4", "gpt-4-32k", False),
        ("llama-3", "llama-2", False),
    ],
)
def test_another_model_is_told_from_a_version(asked, served, same):
    source, carrying = came(choice("Yes", "Yes"), served, asked)
    assert source.served(carrying).other_model == (None if same else served)


def test_vllms_list_without_the_chosen_token_is_refused():
    answer = output().outputs[0]
    del answer.logprobs[0][1]
    with pytest.raises(RequestError, match="no log-probability of a generated token"):
        read_outputs(answer)


@given(st.binary())
def test_a_token_is_told_from_its_number(data):
    assert token_bytes(token_id(data)) == data


@pytest.mark.parametrize(
    ("texts", "listed", "spelled"),
    [
        (["Yes", "."], ["No", '"No'], (["Yes"], ['"No', "No"])),
        (['"', "YES"], [" yes", "\u662f"], ([" yes", "YES", "\u662f"], [])),
        # Of several tokens the first, where it begins no other label and the label ends there.
        (["Y", "ES", "."], ["N"], (["Y"], [])),
        (["Y", "ESTERDAY"], ["N"], ([], [])),
        (["\u6ca1", "\u9519"], [], ([], ["\u6ca1"])),
    ],
)
def test_labels_are_looked_for_in_the_tokens_that_a_server_names(texts, listed, spelled):
    steps = [
        TopKStep(token_id(text.encode()), -1.0, [(token_id(o.encode()), -2.0) for o in listed])
        for text in texts
    ]
    found = spelled_tokens(steps, ("Yes", "No"))
    seen = [[token_bytes(t).decode() for t in own if t >= 0] for own in found]
    assert [sorted(own) for own in seen] == [sorted(own) for own in spelled]
    # Others that were not seen may be there, none twice.
    assert [len(own) for own in found] == [MOST_SPELLINGS] * 2
    assert not set(found[0]) & set(found[1])
