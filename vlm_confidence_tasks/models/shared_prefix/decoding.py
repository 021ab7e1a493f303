"""Decodes and records the answers to questions behind shared prefixes; scores options."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.models.shared_prefix.greedy import GreedySettings
from vlm_confidence_tasks.models.shared_prefix.prompts import Prompt
from vlm_confidence_tasks.models.shared_prefix.shared_rows import SharedRows
from vlm_confidence_tasks.models.shared_prefix.token_columns import Piece
from vlm_confidence_tasks.probe.recorder import read_rows

Options = Sequence[Sequence[tuple[int, ...]]]


class AnswerRecorder:
    """Records each step's numbers of the answers that go on."""

    def __init__(
        self,
        labels: Sequence[probe.LabelTokens],
        device: torch.device,
        states: probe.StateRecorder | None,
    ) -> None:
        """Prepare, with the token ids of each label of each answer, and the logits' device.

        `states` records hidden states too; None: they are not needed.
        """
        self._labels = labels
        self._ids = probe.pad_label_tokens(labels, fill=0, device=device)
        self._states = states
        self._numbers: list[torch.Tensor] = []
        self.tokens: list[list[int]] = [[] for _ in labels]

    def step(self, going_on: Sequence[int], logits: torch.Tensor, chosen: torch.Tensor) -> None:
        """Record a step of the answers that go on, with the model's own logits for each of them."""
        measured = probe.measure_step(logits, chosen, self._ids[going_on])
        numbers = measured.new_zeros(len(self._labels), measured.shape[1])
        numbers[going_on] = measured
        self._numbers.append(numbers)
        for answer, token in zip(going_on, chosen.tolist(), strict=True):
            self.tokens[answer].append(token)
        if self._states is not None:
            # No label has the id -2.
            everyone = torch.full((len(self._labels),), -2, device=chosen.device)
            everyone[going_on] = chosen
            self._states.step(everyone)

    def readings(
        self, ends: frozenset[int], vision: Sequence[probe.Vision] | None
    ) -> list[probe.Reading]:
        """Return the readings, with the vision tokens where hidden states were recorded."""
        numbers = torch.stack(self._numbers, dim=1).cpu().numpy()
        readings = read_rows(self.tokens, numbers, self._labels, ends)
        if self._states is None or vision is None:
            return readings
        return self._states.add_states(readings, vision)


@torch.no_grad()
def read_prompts(rows: SharedRows) -> torch.Tensor:
    """Run the questions' own tokens and return the logits after each prompt."""
    return torch.cat(
        rows.run([rows.piece(n, 0, rows.own_tokens(n)) for n in range(len(rows.prompts))])
    )


@torch.no_grad()
def decode(
    rows: SharedRows, logits: torch.Tensor, settings: GreedySettings, recorder: AnswerRecorder
) -> None:
    """Decode greedily, all answers at once, until each has ended.

    `logits` are those after each prompt, [questions, vocabulary].
    """
    processors = [settings.processors(prompt) for prompt in rows.prompts]
    going_on = list(range(len(processors)))
    for step in range(settings.max_new_tokens):
        scores = logits.float()
        if any(processors):
            scores = torch.cat(
                [
                    processors[answer](
                        _written(rows.prompts[answer], recorder.tokens[answer], scores), row[None]
                    )
                    for answer, row in zip(going_on, scores, strict=True)
                ]
            )
        chosen = scores.argmax(dim=-1)
        recorder.step(going_on, logits, chosen)
        going_on = [
            answer for answer in going_on if recorder.tokens[answer][-1] not in settings.ends
        ]
        if not going_on or step + 1 == settings.max_new_tokens:
            return
        pieces = [
            rows.piece(answer, len(rows.own_tokens(answer)) + step, recorder.tokens[answer][-1:])
            for answer in going_on
        ]
        logits = torch.cat(rows.run(pieces))


def _written(prompt: Prompt, answer: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor([[*prompt.tokens, *answer]], device=like.device)


@torch.no_grad()
def score_options(
    rows: SharedRows, logits: torch.Tensor, options: Options, at_once: int
) -> list[tuple[probe.FloatArray, ...]]:
    """Return ln p of each token of each question's options after its prompt, in nats.

    `logits` are those after each prompt, [questions, vocabulary]; `at_once` is the most options of
    a question in one pass.
    """
    found = [
        [[score] for score in _scores(row[None], [[option[0] for option in own]])[0]]
        for row, own in zip(logits, options, strict=True)
    ]
    longer = [
        (index, place)
        for index, own in enumerate(options)
        for place, option in enumerate(own)
        if len(option) > 1
    ]
    state = rows.state()
    for wave in _waves(longer, at_once):
        pieces: list[Piece] = []
        for number, (index, place) in enumerate(wave):
            offset = len(rows.own_tokens(index))
            piece = rows.piece(index, offset, options[index][place][:-1])
            pieces.append(replace(piece, owner=len(options) + number, parent=index))
        for (index, place), after in zip(wave, rows.run(pieces, every=True), strict=True):
            following = [[token] for token in options[index][place][1:]]
            found[index][place] += list(_scores(after, following)[:, 0])
        rows.rewind(state)
    return [
        tuple(torch.stack([value.cpu() for value in option]).numpy() for option in own)
        for own in found
    ]


def _scores(logits: torch.Tensor, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return ln p of each row's tokens."""
    ids = torch.tensor(tokens, dtype=torch.long, device=logits.device)
    return probe.measure(logits, ids)[1]


def _waves(options: Sequence[tuple[int, int]], at_once: int) -> list[list[tuple[int, int]]]:
    """Split (question, option) pairs so that a question has at most `at_once` in one wave."""
    waves: dict[int, list[tuple[int, int]]] = {}
    counts: dict[int, int] = {}
    for index, place in options:
        number = counts.get(index, 0)
        counts[index] = number + 1
        waves.setdefault(number // at_once, []).append((index, place))
    return [waves[number] for number in sorted(waves)]
