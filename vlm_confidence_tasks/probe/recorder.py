"""Records logits and chosen tokens in the decoding loop of one generate() call."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from vlm_confidence_tasks.probe.backend import ProbeError
from vlm_confidence_tasks.probe.distribution import measure
from vlm_confidence_tasks.probe.reading import FloatArray, Reading, read_row

LabelTokens = Sequence[Sequence[int]]


def pad_label_tokens(
    rows: Sequence[LabelTokens], fill: int, device: torch.device | None = None
) -> torch.Tensor:
    """Return the token ids of all labels of each row, padded with `fill`, [rows, ids]."""
    flat = [[token for spellings in labels for token in spellings] for labels in rows]
    width = max(map(len, flat))
    padded = [tokens + [fill] * (width - len(tokens)) for tokens in flat]
    return torch.tensor(padded, dtype=torch.long, device=device).reshape(len(rows), -1)


def measure_step(logits: torch.Tensor, chosen: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return what is recorded of one step: [rows, 2 + tokens of labels], in nats.

    The entropy, ln p of the chosen tokens [rows], and ln p of the labels' tokens [rows, tokens of
    labels]. Logits are the model's own, before any processor, [rows, vocabulary].
    """
    wanted = [part.to(logits.device) for part in (chosen[:, None], labels)]
    entropy, logprob = measure(logits, torch.cat(wanted, dim=1))
    return torch.cat([entropy[:, None], logprob], dim=1)


def read_rows(
    tokens: Sequence[Sequence[int]],
    numbers: FloatArray,
    rows: Sequence[LabelTokens],
    end_tokens: frozenset[int],
) -> list[Reading]:
    """Return a Reading of each row from its tokens and what `measure_step` gave of its steps.

    Token ids are [rows, steps], numbers [rows, steps, 2 + tokens of labels].
    """
    return [
        read_row(own, row[:, 0], row[:, 1], row[:, 2:], labels, end_tokens)
        for own, row, labels in zip(tokens, numbers, rows, strict=True)
    ]


class Recorder:
    """Records entropy and log-probabilities of each step of generate().

    As a forward hook it receives the logits before any logits processor (a repetition
    penalty, say) changes them; as a stopping criterion, which never stops, it is called once
    the step's token is chosen. Full logits are held for one step only; the few numbers
    computed from them stay on the device until the call is over.
    """

    def __init__(
        self, rows: Sequence[LabelTokens], device: torch.device, check: Callable[[Any], None]
    ) -> None:
        """Prepare for a batch, with the token ids of each label of each row.

        `check` is called at the first step with the module that runs the decoding loop, which may
        be an inner model of the one whose generate() was called; it raises if that is not
        supported.
        """
        self.generator: torch.nn.Module | None = None
        self._check = check
        self._rows = rows
        # Padded with a valid id, for `gather`; `read_row` ignores the extra columns.
        self._labels = pad_label_tokens(rows, fill=0, device=device)
        self._logits: torch.Tensor | None = None
        self._steps: list[torch.Tensor] = []
        self._tokens: list[torch.Tensor] = []
        self._length = 0

    def on_forward(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        """Store the logits of the last position; returns None, so the output is unchanged."""
        logits = getattr(output, "logits", None)
        if logits is not None:
            self._logits = logits[:, -1]
            self.generator = module

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Record the step that chose the last column of `input_ids`."""
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
                "up for them: this adapter's rows cannot be matched to documents"
            )
        if self._logits is None:
            raise ProbeError("generate() chose a token, but no forward pass gave logits")
        self._steps.append(measure_step(self._logits, chosen, self._labels))
        self._tokens.append(chosen)
        self._logits = None
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    def readings(self, end_tokens: frozenset[int]) -> list[Reading]:
        """Return one Reading per row, in the order of the batch."""
        return read_rows(*self.steps(), self._rows, end_tokens)

    def steps(self) -> tuple[list[list[int]], FloatArray]:
        """Return the recorded steps.

        Returns:
            Token ids, [rows, steps]; entropy, log-probability of the token and those of the
            labels' tokens, [rows, steps, 2 + tokens of labels]. Finished rows are padded
            until all rows are finished.
        """
        if not self._steps:
            raise ProbeError("generate() returned without choosing a token")
        numbers = torch.stack(self._steps, dim=1).cpu().numpy()
        return torch.stack(self._tokens, dim=1).cpu().tolist(), numbers
