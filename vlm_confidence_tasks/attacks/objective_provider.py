"""Provides the objectives of an evaluation's attacks."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from PIL import Image

from vlm_confidence_tasks.attacks.objective import ModelObjective, OptionObjective
from vlm_confidence_tasks.attacks.pixels import Cost, PixelPath
from vlm_confidence_tasks.attacks.prompt import image_order, make_prompt
from vlm_confidence_tasks.benchmarks import option_texts
from vlm_confidence_tasks.benchmarks.dataset import Documents
from vlm_confidence_tasks.perturbations import fit
from vlm_confidence_tasks.probe import LogitSource, ProbeError, label_tokens, options_of

VERSION = "objective/1"
# The goal of `pgd_hi`, which names none.
LOGLIK = "loglik"
# By how much ln p of a label may differ from what was measured when the adapter answered: float32
# rounds to 1e-5, and half precision in other kernels to 0.1.
TOLERANCES = {torch.float32: 1e-2, torch.float64: 1e-2}
HALF_TOLERANCE = 0.5


class ObjectiveProvider:
    """Makes the objective of each attack: an `evaluation.request.ObjectiveProvider`."""

    def __init__(self, documents: Documents) -> None:
        """Store the task's documents, among which the other image of a control is."""
        self._documents = documents
        self.cost = Cost()

    @cached_property
    def name(self) -> str:
        """The version, and a digest of the images among which the other image of a control is."""
        digests = b"".join(sorted(set(self._documents.digests())))
        return f"{VERSION}, images {hashlib.sha256(digests).hexdigest()[:16]}"

    def __call__(
        self, request: Any, image: Image.Image, source: LogitSource, clean: Any
    ) -> ModelObjective:
        """Return the objective of a request's goal for one of its clean images.

        The document's other images stay as they are. The answer position is that of the response to
        the clean image, after the same tokens.

        Raises:
            ProbeError: The model gives no gradient, or another prompt was answered.
        """
        if source.model is None or getattr(source, "processor", None) is None:
            raise ProbeError(
                "an attack needs the gradient of a transformers model and its processor, which "
                "this adapter does not give (an API and a serving engine have none)"
            )
        if any(map(_packed, source.model.modules())):
            raise ProbeError(
                "no gradient comes through 4-bit weights that bitsandbytes packed for this CPU: "
                "attack on a GPU, or with load_in_8bit, or without quantisation"
            )
        stored = self._documents.images(request.document)
        images = [fit(image, request.task.settings.max_side) for image in stored]
        position = next(n for n, own in enumerate(images) if own.tobytes() == image.tobytes())
        parameters = dict(request.variant.parameters)
        labels = label_tokens(source.processor.tokenizer, request.key.labels)
        if not labels:
            raise ProbeError(
                "an attack needs the labels' probabilities: in this model's vocabulary "
                f"{', '.join(request.key.labels)} have no tokens of their own"
            )
        answered = None if clean.position is None else clean.position.step
        prefix = clean.reading.tokens[:answered] if clean.reading is not None and answered else ()
        order = image_order(request.question, len(images))
        if position not in order:
            raise ProbeError(f"image {position + 1} of the document is not shown: leave it out")
        shown = [images[number] for number in order]
        processor = source.processor.image_processor
        prompt = make_prompt(source, request.question, images, prefix)
        changing = order.index(position)
        path = PixelPath(processor, prompt.image_options, shown, changing, self.cost)

        goal, at = str(parameters.get("goal", LOGLIK)), -1 - len(prefix)

        def objective(start: Image.Image, label: int | None) -> ModelObjective:
            given = (source.model, prompt.inputs, path, labels, goal, start, self.cost, at, label)
            if goal != LOGLIK:
                return ModelObjective(*given)
            found = ModelObjective(*given)
            texts = option_texts(request.question) or request.key.labels
            asked = prompt.inputs["input_ids"][0].tolist()
            tokenizer = source.processor.tokenizer
            (option,) = options_of(tokenizer, [texts[found.label]], asked)
            after = make_prompt(source, request.question, images, option).inputs
            return OptionObjective(option, after, *given)

        answer = clean.answer
        own = objective(image, None if answer is None else request.key.labels.index(answer))
        if clean.position is not None and clean.position.logprob:
            _check(own, clean.position.logprob, source.model)
        if parameters.get("delta") == "other":
            own = objective(self._other(request.document, image), None)
        self.cost.images += 1
        return own

    def _other(self, document: int, image: Image.Image) -> Image.Image:
        """Return the first image of another document, resized to an image's size.

        Which one depends on the image and on the set of the task's images alone.
        """
        digests = self._documents.digests()
        own = digests[document]
        others = sorted(set(digests) - {own})
        if not others:
            raise ProbeError('delta: "other" needs another image, but all documents show one')
        drawn = others[int.from_bytes(hashlib.sha256(own).digest(), "big") % len(others)]
        found = self._documents.images(digests.index(drawn))[0]
        return found.resize(image.size, Image.Resampling.BICUBIC)

    def summary(self) -> str | None:
        """Return what the attacks cost so far, None if there were none."""
        cost = self.cost
        if not cost.passes:
            return None
        return (
            f"attacks: {cost.passes} gradient steps for {cost.images} images, "
            f"{cost.passes / cost.seconds:.1f} a second; pixel values on the gradient's path are "
            f"at most {cost.apart:.2g} from the processor's own, which the model was given"
        )


def _packed(module: Any) -> bool:
    state = getattr(getattr(module, "weight", None), "quant_state", None)
    return bool(getattr(state, "packing_format_for_cpu", False))


def _check(objective: ModelObjective, measured: Sequence[float], model: Any) -> None:
    """Raise unless the model gives the labels what it gave them when the adapter answered."""
    dtype = next(model.parameters()).dtype
    found = objective.clean.double()
    apart = float((found - torch.tensor(measured, dtype=torch.float64)).abs().max())
    quantised = getattr(model.config, "quantization_config", None) is not None
    tolerance = HALF_TOLERANCE if quantised else TOLERANCES.get(dtype, HALF_TOLERANCE)
    if apart > tolerance:
        raise ProbeError(
            f"the prompt that the attack rebuilds gives a label another ln p, by {apart:.3g}, than "
            "the adapter's own: attacks need an adapter that writes prompts with its processor's "
            "chat template and shows images at their own size"
        )
