"""Watching one call of generate() from inside its loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from vlm_confidence_tasks.probe.backend import ProbeError
from vlm_confidence_tasks.probe.reading import FloatArray, Reading, read_row

LabelTokens = Sequence[Sequence[int]]


class Recorder:
    """Sees each step's raw logits, and the token that was then chosen.

    As a forward hook it is given the logits before any processor (a repetition penalty,
    say) touches them; as a stopping criterion, which never stops anything, it is called
    once the step's token is known. One step's logits are held at a time; what is kept of
    a step is a few numbers, on the device until the call is over.
    """

    def __init__(
        self, rows: Sequence[LabelTokens], device: torch.device, check: Callable[[Any], None]
    ) -> None:
        """Prepare for a batch.

        Args:
            rows: For each row of the batch, the token ids that say each of its labels.
            device: Where the model's logits are expected.
            check: Called at the first step with the module whose loop runs, which need
                not be the one whose generate() was called; raises if that loop is not
                one that can be read.
        """
        self.generator: torch.nn.Module | None = None
        self._check = check
        self._rows = rows
        flat = [[token for spelled in labels for token in spelled] for labels in rows]
        width = max(map(len, flat))
        # Padded with token 0: the extra columns are cut off again by each row's own length.
        padded = [tokens + [0] * (width - len(tokens)) for tokens in flat]
        self._labels = torch.tensor(padded, dtype=torch.long, device=device).reshape(len(rows), -1)
        self._logits: torch.Tensor | None = None
        self._steps: list[torch.Tensor] = []
        self._tokens: list[torch.Tensor] = []
        self._length = 0

    def on_forward(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        """Keep the logits of the last position; returns None, so nothing is replaced."""
        logits = getattr(output, "logits", None)
        if logits is not None:
            self._logits = logits[:, -1]
            self.generator = module

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Take down the step that ended with the last column of `input_ids`."""
        if not self._steps:
            self._check(self.generator)
        elif input_ids.shape[1] != self._length + 1:
            raise ProbeError(
                f"generate() chose {input_ids.shape[1] - self._length} tokens in one step: "
                "confidence is read from plain decoding, without an assistant model"
            )
        self._length = input_ids.shape[1]
        chosen = input_ids[:, -1]
        if len(chosen) != len(self._rows):
            raise ProbeError(
                f"generate() runs {len(chosen)} rows, but {len(self._rows)} documents were looked "
                "up for them: this adapter's rows cannot be told apart"
            )
        if self._logits is None:
            raise ProbeError("generate() chose a token, but no forward pass gave logits")
        logprob = torch.log_softmax(self._logits.float(), dim=-1)
        entropy = torch.special.entr(logprob.exp()).sum(dim=-1, keepdim=True)
        picked = logprob.gather(1, chosen.to(logprob.device)[:, None])
        labels = logprob.gather(1, self._labels.to(logprob.device))
        self._steps.append(torch.cat([entropy, picked, labels], dim=1))
        self._tokens.append(chosen)
        self._logits = None
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    def readings(self, end_tokens: frozenset[int]) -> list[Reading]:
        """Return one Reading a row, in the order of the batch."""
        tokens, numbers = self.steps()
        return [
            read_row(row_tokens, row[:, 0], row[:, 1], row[:, 2:], labels, end_tokens)
            for row_tokens, row, labels in zip(tokens, numbers, self._rows, strict=True)
        ]

    def steps(self) -> tuple[list[list[int]], FloatArray]:
        """Return the token of each row and step, and the numbers kept of it.

        Returns:
            Token ids, [rows, steps]; entropy, log-probability of the token and those of the
            labels' tokens, [rows, steps, 2 + tokens of labels]. Rows that have ended go on
            with padding until all have.

        Raises:
            ProbeError: There is no step.
        """
        if not self._steps:
            raise ProbeError("generate() returned without choosing a token")
        numbers = torch.stack(self._steps, dim=1).cpu().numpy()
        return torch.stack(self._tokens, dim=1).cpu().tolist(), numbers
