"""Evaluating a family in this process, and reading its logits a second, independent way."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lmms_eval import evaluator
from lmms_eval.models import get_model
from lmms_eval.tasks import TaskManager

from vlm_confidence_tasks.benchmarks import find_answer

from .families import Family

TASK = "pope_eps0.3"
DOCUMENTS = 4
LABELS = {"Yes": ("Yes", "yes", "YES"), "No": ("No", "no", "NO")}


@dataclass
class Call:
    """One call of generate() as the adapter made it, and what it returned."""

    arguments: dict
    sequences: torch.Tensor


@dataclass(frozen=True)
class Numbers:
    """What can be read from one row's raw logits."""

    prompt: str
    steps: int
    token_entropy: np.ndarray
    logprob: float
    probs: dict[str, float]
    answer_mass: float
    answer_step: int | None
    position_unknown: bool


@dataclass(frozen=True)
class Evaluation:
    """A family's run of the task.

    The harness drops an adapter's model once it is done: both are kept here on their own.
    """

    adapter: object
    model: torch.nn.Module
    tokenizer: object
    calls: Sequence[Call]
    rows: Sequence[dict]
    results: dict[str, float]

    @property
    def readouts(self) -> dict[tuple[str, str], dict]:
        """The records of the samples file by (question, variant)."""
        return {
            (question(row), record["variant"]): record
            for row in self.rows
            for record in row["readouts"]
        }


def question(row: dict) -> str:
    """The words by which a row's prompt is known again among the token ids."""
    return squeezed(row["doc"]["question"])


def squeezed(text: str) -> str:
    return "".join(text.split())


def evaluate(
    family: Family,
    path: Path,
    task_manager: TaskManager,
    *,
    simple: bool = False,
    batch_size: int = 1,
    float32: bool = False,
    documents: int = DOCUMENTS,
    prepare: Callable[[torch.nn.Module], None] = lambda model: None,
) -> Evaluation:
    """Run the task on a family's stock adapter and keep each call of generate().

    Args:
        family: Which one.
        path: Its checkpoint.
        task_manager: The harness's.
        simple: Take the adapter's simple class where it has both.
        batch_size: The harness's `--batch_size`.
        float32: Turn the adapter's model into float32, whatever it loaded.
        documents: How many are asked about.
        prepare: Called with the model before it runs.
    """
    made = get_model(family.model, simple or not family.chat).create_from_arg_string(
        family.arguments(path), {"batch_size": batch_size}
    )
    model, tokenizer = made.model, processor_of(made).tokenizer
    if float32:
        model.float()
    prepare(model)
    calls: list[Call] = []
    with recorded_calls(model, calls):
        output = evaluator.simple_evaluate(
            model=made,
            tasks=[TASK],
            limit=documents,
            batch_size=batch_size,
            task_manager=task_manager,
            log_samples=True,
        )
    results = {key.split(",")[0]: value for key, value in output["results"][TASK].items()}
    return Evaluation(made, model, tokenizer, calls, output["samples"][TASK], results)


class recorded_calls:
    """Keeps what an adapter passes to generate(), and what it gets."""

    def __init__(self, model: torch.nn.Module, calls: list[Call]) -> None:
        self._model = model
        self._calls = calls

    def __enter__(self) -> None:
        self._model.generate = partial(self._keep, self._model.generate)

    def __exit__(self, *error: object) -> None:
        del self._model.generate

    def _keep(self, generate: Callable, **arguments):
        plain = {name: value for name, value in arguments.items() if name != "stopping_criteria"}
        plain = copy.deepcopy(plain)
        sequences = generate(**arguments)
        # What is generated to compare two ways comes with its logits.
        if isinstance(sequences, torch.Tensor):
            self._calls.append(Call(plain, sequences.clone()))
        return sequences


def numbers(evaluation: Evaluation) -> tuple[dict[tuple[str, str], Numbers], bool]:
    """Generate anew without the probe and work every number out from the logits.

    Returns:
        The numbers by (question, variant), and whether the tokens were the same as with
        the probe.
    """
    names = list(map(question, evaluation.rows))
    found: dict[tuple[str, str], Numbers] = {}
    same = True
    for call in evaluation.calls:
        output = evaluation.model.generate(
            **call.arguments, output_logits=True, return_dict_in_generate=True
        )
        same &= torch.equal(output.sequences, call.sequences)
        logits = torch.stack(output.logits, dim=1).double().numpy()
        chosen = output.sequences[:, -logits.shape[1] :].numpy()
        for prompt, *row in zip(call.arguments["input_ids"], logits, chosen, strict=True):
            read = work_out(evaluation.tokenizer, prompt, *row)
            (name,) = (name for name in names if name in read.prompt)
            # A question is asked about the clean image first.
            variant = "gaussian_noise" if (name, "clean") in found else "clean"
            assert (name, variant) not in found
            found[name, variant] = read
    return found, same


def processor_of(adapter):
    names = "processor", "_processor", "_image_processor"
    return next(getattr(adapter, name) for name in names if hasattr(adapter, name))


def work_out(tokenizer, prompt: torch.Tensor, logits: np.ndarray, chosen: np.ndarray) -> Numbers:
    """Do by plain loops what the probe does while the model runs."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    end = tokenizer.eos_token_id
    tokens = []
    for token in chosen.tolist():
        if token == end:
            break
        tokens.append(token)
    kept = max(len(tokens), 1)
    entropy = [-sum(x * np.log(x) for x in step if x > 0) for step in p[:kept]]
    picked = [np.log(p[t, chosen[t]]) for t in range(kept)]
    pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    spelled = {
        label: [i for i, piece in enumerate(pieces) if piece.lstrip("\u2581\u0120(") in spellings]
        for label, spellings in LABELS.items()
    }
    step, unknown = answer_step(tokenizer, tokens, spelled)
    masses = {label: p[step or 0, ids].sum() for label, ids in spelled.items()}
    total = sum(masses.values())
    return Numbers(
        prompt=squeezed(tokenizer.decode(prompt)),
        steps=len(tokens),
        token_entropy=np.array(entropy),
        logprob=float(np.mean(picked)),
        probs={label: mass / total for label, mass in masses.items()},
        answer_mass=total,
        answer_step=step,
        position_unknown=unknown,
    )


def answer_step(tokenizer, tokens: list[int], spelled: dict) -> tuple[int | None, bool]:
    """Find the token that wrote the label's first letter, by marking each letter's token."""
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    found = find_answer(text.strip(), tuple(LABELS))
    if found is None:
        all_ids = {token for ids in spelled.values() for token in ids}
        return next((t for t, token in enumerate(tokens) if token in all_ids), None), False
    owner: list[int] = []
    for t in range(len(tokens)):
        written = tokenizer.decode(tokens[: t + 1], skip_special_tokens=True)
        owner += [t] * (len(written) - len(owner))
    step = owner[len(text) - len(text.lstrip()) + found.start]
    begins = tokens[step] in spelled[found.label]
    return (step, False) if begins else (None, True)
