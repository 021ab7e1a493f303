"""Log-probabilities of a vLLM engine in this process, which come with each answer."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from loguru import logger

from vlm_confidence_tasks.errors import RequestError
from vlm_confidence_tasks.probe.backend import ProbeError
from vlm_confidence_tasks.probe.carrying import CarryingText, Served, carried
from vlm_confidence_tasks.probe.description import Capability, Origin
from vlm_confidence_tasks.probe.labels import label_tokens
from vlm_confidence_tasks.probe.reading import Reading
from vlm_confidence_tasks.probe.rows import BatchRows
from vlm_confidence_tasks.probe.temporary import replaced
from vlm_confidence_tasks.probe.top_k import ALL, TopKStep, read_top_k, served_step, wanted_top_k

# The engine's methods that adapters call.
_METHODS = ("chat", "generate")
# How it says that an answer is not whole.
BROKEN_OFF = ("abort", "error")


class VllmSource:
    """The likeliest tokens that vLLM returns with each answer, all if its `max_logprobs` is -1.

    The model itself is in other processes, so that neither options nor hidden states are
    measured.
    """

    measures: frozenset[Capability] = frozenset({"probabilities"})
    origin: Origin | None
    model: Any = None
    processor: Any = None

    def __init__(self, engine: Any, name: str) -> None:
        """Prepare a `vllm.LLM`, which is wrapped in `reading` only; `name` is the adapter's class.

        Raises:
            ProbeError: The engine returns something else than the model's log-probabilities.
            ValueError: See `wanted_top_k`.
        """
        self._engine, self._name = engine, name
        self._config = engine.model_config
        mode = getattr(self._config, "logprobs_mode", "raw_logprobs")
        if mode != "raw_logprobs":
            raise ProbeError(
                f"vLLM runs with logprobs_mode={mode}: entropies need raw_logprobs, its default"
            )
        self._tokenizer = engine.get_tokenizer()
        self._vocabulary = int(self._config.get_vocab_size())
        self._k = _allowed(wanted_top_k(), self._config.max_logprobs, self._vocabulary)
        self.origin = _origin(self._config)
        self._prompt_tokens = self._cached_tokens = 0

    def numerics(self) -> Mapping[str, Any]:
        """Return vLLM's version, device type, dtype, quantisation and how many tokens it returns.

        Not how the model is split over devices, which changes rounding alone.
        """
        engine = self._engine.llm_engine.vllm_config
        return {
            "vllm": getattr(sys.modules.get("vllm"), "__version__", None),
            "device": str(engine.device_config.device_type),
            "dtype": str(self._config.dtype),
            "quantisation": str(self._config.quantization),
            "logprobs": self._k,
        }

    @contextmanager
    def reading(self, rows: BatchRows, representations: bool) -> Iterator[None]:
        """Ask for log-probabilities with every answer in the block, and carry them.

        At its end it is said which share of the prompts' tokens the prefix cache had.
        """
        if self._k != ALL:
            logger.warning(
                f"{self._name} returns the {self._k} likeliest of {self._vocabulary} tokens: "
                "entropies have bounds; for exact ones add max_logprobs=-1 to the model arguments"
            )
        self._prompt_tokens = self._cached_tokens = 0
        with ExitStack() as stack:
            for method in _METHODS:
                original = getattr(self._engine, method)
                carrying = self._carrying(original, rows.fail)
                stack.enter_context(replaced(self._engine, method, carrying))
            yield
        if self._prompt_tokens:
            share = self._cached_tokens / self._prompt_tokens
            logger.info(f"vLLM's prefix cache had {share:.0%} of the prompts' tokens")

    def _carrying(
        self, original: Callable[..., Any], fail: Callable[[BaseException], None]
    ) -> Callable[..., Any]:
        @wraps(original)
        def carrying(*args: Any, **kwargs: Any) -> Any:
            given = kwargs.get("sampling_params", args[1] if len(args) > 1 else None)
            try:
                for parameters in given if isinstance(given, Sequence) else [given]:
                    self._ask(parameters)
            except ProbeError as error:
                fail(error)
                raise
            outputs = original(*args, **kwargs)
            for output in outputs:
                self._carry(output)
            return outputs

        return carrying

    def _ask(self, parameters: Any) -> None:
        for name, allowed in (("temperature", 0), ("n", 1)):
            value = getattr(parameters, name, None)
            if value != allowed:
                raise ProbeError(
                    f"vLLM was called with {name}={value}: confidence is read from greedy "
                    "decoding; set temperature to 0 and n to 1"
                )
        parameters.logprobs = self._k

    def _carry(self, output: Any) -> None:
        answer = output.outputs[0]
        # `chat` may call `generate`, which has done so.
        if not isinstance(answer.text, CarryingText):
            answer.text = CarryingText(answer.text, answer)
            if output.num_cached_tokens is not None:
                self._prompt_tokens += len(output.prompt_token_ids)
                self._cached_tokens += output.num_cached_tokens

    def read(self, text: str, labels: Sequence[str]) -> Reading:
        """Read what came with a text.

        Raises:
            RequestError: The text is the adapter's own, or came without log-probabilities.
            ValueError: They are no part of a distribution.
        """
        steps = read_outputs(carried(text))
        if not steps:
            raise RequestError("vLLM returned no log-probabilities; nothing was scored")
        return read_top_k(steps, label_tokens(self._tokenizer, labels), self._vocabulary)

    def served(self, text: str) -> Served:
        """Return whether the limit of tokens cut an answer off.

        Raises:
            RequestError: The engine broke it off.
        """
        if not isinstance(text, CarryingText):
            return Served()
        reason = text.carried.finish_reason
        if reason in BROKEN_OFF:
            raise RequestError(
                f"vLLM broke an answer off (finish_reason {reason}); nothing was scored"
            )
        return Served(truncated=reason == "length")

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of token ids, without special ones."""
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))


def read_outputs(answer: Any) -> list[TopKStep]:
    """Return the steps of a `vllm.CompletionOutput` before its end token, or that alone.

    Returns:
        None of them if it came without log-probabilities.

    Raises:
        RequestError: It came with those of a part of its tokens, or they contradict each other.
    """
    tokens = list(answer.token_ids)
    ended = answer.finish_reason == "stop" and not isinstance(answer.stop_reason, str)
    length = max(len(tokens) - 1, 1) if ended else len(tokens)
    if not answer.logprobs:
        return []
    if len(answer.logprobs) != len(tokens):
        raise RequestError(
            f"vLLM returned log-probabilities of {len(answer.logprobs)} of {len(tokens)} tokens; "
            "nothing was scored"
        )
    steps = []
    for token, listed in zip(tokens[:length], answer.logprobs, strict=False):
        if token not in listed:
            raise RequestError(
                "vLLM returned no log-probability of a generated token; nothing was scored"
            )
        pairs = [(other, float(at.logprob)) for other, at in listed.items()]
        steps.append(served_step(token, float(listed[token].logprob), pairs))
    return steps


def _allowed(wanted: int | None, most: int, vocabulary: int) -> int:
    """Return how many tokens to ask for: as many as wanted, or as the engine allows."""
    if most == ALL:
        most = vocabulary
    k = most if wanted is None or wanted == ALL else min(wanted, most)
    return ALL if k >= vocabulary else k


def _origin(config: Any) -> Origin:
    """Return where vLLM loaded a model from; the commit is that of the hub's local cache."""
    name, revision = str(config.model), config.revision
    if Path(name).is_dir():
        return Origin(name, Path(name), None)
    found = try_to_load_from_cache(name, "config.json", revision=revision)
    return Origin(name, None, Path(found).parent.name if isinstance(found, str) else None)
