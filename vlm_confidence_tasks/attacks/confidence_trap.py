"""What the code of "The Confidence Trap" measures, step by step, and its controls.

The repository's protocol differs from its text (docs/studies/confidence-trap-audit.md): noise of
0.1 epsilon, not cut, on pixel values that the processor has normalised; the noisy side alone is
clamped to [0, 1] there, which cuts all that is darker than the processor's mean; the entropy is
the mean over all positions of the prompt, nearly all of them image tokens, and nothing is
generated; the prompt has no chat template.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image

from vlm_confidence_tasks.attacks.pixels import KEY
from vlm_confidence_tasks.perturbations import image_digest
from vlm_confidence_tasks.perturbations.seeding import generator
from vlm_confidence_tasks.probe import LogitSource, ProbeError, entropies

Condition = Literal["source", "clamponly", "noclamp", "generated"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
# The repository multiplies epsilon by this.
SCALE = 0.1


def trap_numbers(
    source: LogitSource,
    image: Image.Image,
    prompt: str,
    epsilon: float,
    condition: Condition,
    max_new_tokens: int,
) -> dict[str, float]:
    """Return the clean and the noisy entropy of one image, in nats, and more of the prompt.

    The noise is drawn from the image's own seed, one draw for all epsilons, which are as the
    repository writes them; the repository's noise is not seeded. The condition is `source`: as the
    repository; `clamponly`: without noise; `noclamp`: without the clamp; or `generated`: the same
    pixels, and the entropy of the generated tokens.

    Raises:
        ProbeError: The engine is no transformers model.
    """
    if source.model is None or getattr(source, "processor", None) is None:
        raise ProbeError("this protocol needs a transformers model and its processor")
    processor, model = source.processor, source.model
    text = f"{processor.image_token}\n{prompt}"
    inputs = dict(
        processor(images=[image], text=[text], return_tensors="pt").to(model.device, model.dtype)
    )
    rng = generator(image_digest(image), "caption_trap", {}, 0)
    noisy = inputs | {KEY: shown_values(inputs[KEY], rng, epsilon, condition)}
    if condition == "generated":
        return {
            "entropy_clean": generated_entropy(model, inputs, max_new_tokens),
            "entropy": generated_entropy(model, noisy, max_new_tokens),
        }
    is_image = inputs["input_ids"][0] == processor.image_token_id
    clean, changed = (prompt_entropies(model, each) for each in (inputs, noisy))
    words = ~is_image.to(clean.device)
    return {
        "entropy_clean": float(clean.mean()),
        "entropy": float(changed.mean()),
        "words_clean": float(clean[words].mean()),
        "words": float(changed[words].mean()),
        "image_share": float(is_image.float().mean()),
    }


def shown_values(
    values: torch.Tensor, rng: Generator, epsilon: float, condition: Condition
) -> torch.Tensor:
    """Return the noisy side's `pixel_values`."""
    noise = torch.from_numpy(rng.standard_normal(tuple(values.shape), dtype=np.float32))
    scale = 0.0 if condition == "clamponly" else SCALE * epsilon
    changed = values + scale * noise.to(values.device, values.dtype)
    return changed if condition == "noclamp" else changed.clamp(0.0, 1.0)


@torch.no_grad()
def prompt_entropies(model: Any, inputs: Mapping[str, Any]) -> torch.Tensor:
    """Return the entropy of the next token at each position of a prompt, [tokens]."""
    logits = model(**inputs, use_cache=False).logits[0]
    return entropies(logits)


@torch.no_grad()
def generated_entropy(model: Any, inputs: Mapping[str, Any], max_new_tokens: int) -> float:
    """Return the mean entropy of greedily generated tokens before the end token."""
    output = model.generate(
        **inputs,
        do_sample=False,
        max_new_tokens=max_new_tokens,
        output_logits=True,
        return_dict_in_generate=True,
    )
    ends = torch.as_tensor(model.generation_config.eos_token_id).flatten().tolist()
    tokens = output.sequences[0, inputs["input_ids"].shape[1] :].tolist()
    length = next((n for n, token in enumerate(tokens) if token in ends), len(tokens))
    steps = torch.stack([step[0] for step in output.logits[: max(length, 1)]])
    return float(entropies(steps).mean())
