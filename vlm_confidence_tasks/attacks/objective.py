"""The objective of an attack on a transformers model."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from inspect import signature
from typing import Any

import numpy as np
import torch
from PIL import Image

from vlm_confidence_tasks.attacks.goals import Judged, entropies, judge, label_logprobs, margin
from vlm_confidence_tasks.attacks.pixels import KEY, Cost, PixelPath
from vlm_confidence_tasks.perturbations import Judgement
from vlm_confidence_tasks.probe.structure import find_structure
from vlm_confidence_tasks.probe.temporary import hooked


class ModelObjective:
    """Judges images by a goal: `perturbations.Objective`.

    Attributes:
        label: Index of the label that the model gives to it, against which goals are judged.
        clean: ln p of each label at `start`.
    """

    def __init__(
        self,
        model: Any,
        inputs: Mapping[str, torch.Tensor],
        path: PixelPath,
        labels: Sequence[Sequence[int]],
        goal: str,
        start: Image.Image,
        cost: Cost,
        context_at: int = -1,
        label: int | None = None,
    ) -> None:
        """Judge the image that is attacked.

        Args:
            model: A transformers model.
            inputs: Of one forward pass up to the answer position; its `pixel_values` are replaced.
            path: Makes `pixel_values` of an image.
            labels: Token ids of each label.
            goal: As in `perturbations.pgd`.
            start: The image that is attacked.
            cost: Where passes are counted.
            context_at: Position of the prompt's last token, counted from the end.
            label: Index of the label to judge against; None: the likeliest at `start`.
        """
        self._model, self._inputs, self._path = model, dict(inputs), path
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        self._labels, self._goal, self.start = labels, goal, start
        self._cost, self._context_at = cost, context_at
        self._clean_context: torch.Tensor | None = None
        with torch.no_grad():
            logprob, context = self._forward(path.exact(start))
        self._clean_context = context
        self.clean = label_logprobs(logprob, labels)
        self.label = int(self.clean.argmax()) if label is None else label

    def __call__(self, image: Image.Image) -> Judgement:
        """Judge an image, by one pass forward and back."""
        began = time.perf_counter()
        with torch.enable_grad(), _frozen(self._weights):
            pixels, judged = self._judged(image)
            (gradient,) = torch.autograd.grad(judged.loss, pixels)
        self._cost.passes += 1
        self._cost.seconds += time.perf_counter() - began
        array = gradient.permute(1, 2, 0).contiguous().numpy().astype(np.float32)
        return Judgement(judged.allowed, float(judged.value.detach()), array)

    def _judged(self, image: Image.Image) -> tuple[torch.Tensor, Judged]:
        """Return the image's pixels and what the goal makes of them."""
        pixels, values = self._path(image)
        logprob, context = self._forward(values)
        lead = margin(label_logprobs(logprob, self._labels), self.label)
        return pixels, judge(self._goal, logprob, lead, self._cosine(context))

    def measure(self, image: Image.Image) -> tuple[list[float], float]:
        """Return ln p of each label and the entropy at the answer position, without a gradient."""
        with torch.no_grad():
            logprob, _ = self._forward(self._path.exact(image))
        return label_logprobs(logprob, self._labels).tolist(), float(entropies(logprob))

    def _cosine(self, context: torch.Tensor | None) -> torch.Tensor | None:
        if context is None or self._clean_context is None:
            return None
        return torch.nn.functional.cosine_similarity(context, self._clean_context, dim=0)

    def _forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return ln p at the answer position, and for `hidden` the prompt's context."""
        inputs = _with_pixels(self._inputs, values)
        states: list[torch.Tensor] = []
        with ExitStack() as stack:
            if self._goal == "hidden":
                decoder = find_structure(self._model).decoder
                keep = hooked(decoder, lambda module, args, output: states.append(output[0]))
                stack.enter_context(keep)
            output = self._model(**inputs, **_last(self._model, 1))
        logprob = torch.log_softmax(output.logits[0, -1].float(), dim=-1).cpu()
        context = states[-1][0, self._context_at].float().cpu() if states else None
        return logprob, context


class OptionObjective(ModelObjective):
    """The log-likelihood of an option's text after the prompt, to be made small."""

    def __init__(self, option: Sequence[int], after: Mapping[str, torch.Tensor], *given: Any):
        """Judge the image that is attacked, given the tokens of an option's text.

        `after` are the inputs of a pass over the prompt and these; the rest is as for
        `ModelObjective`.
        """
        super().__init__(*given)
        self._option, self._after = list(option), dict(after)

    def _judged(self, image: Image.Image) -> tuple[torch.Tensor, Judged]:
        pixels, values = self._path(image)
        keep = _last(self._model, len(self._option) + 1)
        output = self._model(**_with_pixels(self._after, values), **keep)
        steps = torch.log_softmax(output.logits[0, -1 - len(self._option) : -1].float(), dim=-1)
        total = steps[range(len(self._option)), self._option].sum().cpu()
        return pixels, Judged(True, total, total)


def _last(model: Any, positions: int) -> dict[str, Any]:
    """Return the arguments of a pass that needs the logits of its last positions only."""
    can_keep = "logits_to_keep" in signature(type(model).forward).parameters
    return {"use_cache": False, **({"logits_to_keep": positions} if can_keep else {})}


def _with_pixels(inputs: Mapping[str, Any], values: torch.Tensor) -> dict[str, Any]:
    like = inputs[KEY]
    return {**inputs, KEY: values.to(like.device, like.dtype).reshape(like.shape)}


@contextmanager
def _frozen(weights: Sequence[torch.Tensor]) -> Iterator[None]:
    """Take no gradient of weights in the block, nor keep what it would need."""
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)
