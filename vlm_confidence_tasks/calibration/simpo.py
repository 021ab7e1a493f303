"""Simple preference optimisation on images: SimPO (Meng, Xia, Chen 2024, arXiv 2405.14734).

TRL 1.16 has the loss for text alone, and the batches of pairs with images for DPO.
"""

from typing import Any

import torch
from torch.nn.functional import logsigmoid
from transformers import Trainer


def mean_log_probability(
    logits: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Return the mean of ln p(token | those before it) over the tokens that count, [N].

    Args:
        logits: [N, T, V]; those at t are of the token at t + 1.
        tokens: [N, T].
        mask: [N, T], 1 where a token counts. Each row must have one after its first token.
    """
    scores = logits[:, :-1].float().log_softmax(-1)
    found = scores.gather(-1, tokens[:, 1:, None])[..., 0]
    counted = mask[:, 1:].to(found.dtype)
    return (found * counted).sum(1) / counted.sum(1)


def simpo_loss(
    chosen: torch.Tensor, rejected: torch.Tensor, beta: float, margin: float
) -> torch.Tensor:
    """Return the mean of -ln sigmoid(beta (chosen - rejected) - margin), a scalar.

    Args:
        chosen: [N], mean log-probability of each chosen answer's tokens, in nats.
        rejected: [N], that of each rejected answer's.
        beta: Scale of the difference.
        margin: By how much, so scaled, the chosen one should lead.

    Source: Meng, Xia, Chen 2024, equation 6, whose gamma is this margin.

    >>> even = torch.zeros(1)
    >>> round(float(simpo_loss(even, even, 2.0, 0.0)), 4)  # ln 2
    0.6931
    """
    return -logsigmoid(beta * (chosen - rejected) - margin).mean()


class SimPOTrainer(Trainer):
    """Trains on pairs as TRL's `DataCollatorForVisionPreference` makes them.

    A batch holds all prompts with chosen answers, then the same with rejected ones, and
    `completion_mask`, 1 on the answers' tokens.
    """

    def __init__(self, *args: Any, beta: float, margin: float, **others: Any) -> None:
        """Take the loss's parameters; all else is the Trainer's."""
        super().__init__(*args, **others)
        self._beta, self._margin = beta, margin
        # The loss is a mean over pairs, whatever their tokens: the Trainer divides it by the
        # number of passes in a step only if the model is not said to do so.
        self.model_accepts_loss_kwargs = False

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **others: Any
    ) -> Any:
        """Return the loss of a batch."""
        given = dict(inputs)
        mask = given.pop("completion_mask")
        outputs = model(**given)
        scores = mean_log_probability(outputs.logits, given["input_ids"], mask)
        chosen, rejected = scores.chunk(2)
        loss = simpo_loss(chosen, rejected, self._beta, self._margin)
        return (loss, outputs) if return_outputs else loss
