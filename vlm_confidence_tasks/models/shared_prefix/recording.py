"""Records the readings of answers that are decoded side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.probe.recorder import read_rows


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
