"""The Confidence Trap's protocol on the embedded model, against the steps written out."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from vlm_confidence_tasks.attacks.confidence_trap import trap_numbers
from vlm_confidence_tasks.perturbations import image_digest
from vlm_confidence_tasks.perturbations.seeding import generator
from vlm_confidence_tasks.probe import ProbeError
from vlm_confidence_tasks.sandbox import MODEL_DIR

PROMPT = "Describe this image in detail."


@pytest.fixture(scope="module")
def source() -> SimpleNamespace:
    model = AutoModelForImageTextToText.from_pretrained(MODEL_DIR, dtype=torch.float32).eval()
    return SimpleNamespace(model=model, processor=AutoProcessor.from_pretrained(MODEL_DIR))


@pytest.fixture(scope="module")
def image() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def by_hand(source, image: Image.Image, epsilon: float, clamp: bool) -> tuple[float, float]:
    """Clean and noisy entropy, by loops over positions in float64."""
    inputs = source.processor(images=image, text=f"<image>\n{PROMPT}", return_tensors="pt")
    noise = generator(image_digest(image), "caption_trap", {}, 0).standard_normal(
        tuple(inputs["pixel_values"].shape), dtype=np.float32
    )
    noisy = inputs["pixel_values"] + 0.1 * epsilon * torch.tensor(noise)
    noisy = noisy.clamp(0, 1) if clamp else noisy
    found = []
    for values in (inputs["pixel_values"], noisy):
        with torch.no_grad():
            logits = source.model(**{**inputs, "pixel_values": values}).logits[0].double().numpy()
        steps = []
        for step in logits:
            p = np.exp(step - step.max())
            p /= p.sum()
            steps.append(-(p * np.log(p)).sum())
        found.append(float(np.mean(steps)))
    return found[0], found[1]


@pytest.mark.parametrize(
    ("condition", "epsilon", "clamp"),
    [("source", 0.3, True), ("noclamp", 0.3, False), ("clamponly", 0.0, True)],
)
def test_each_condition_is_its_steps(source, image, condition, epsilon, clamp) -> None:
    given = 0.5 if condition == "clamponly" else epsilon
    found = trap_numbers(source, image, PROMPT, given, condition, 8)
    clean, noisy = by_hand(source, image, epsilon, clamp)
    assert found["entropy_clean"] == pytest.approx(clean, abs=1e-5)
    assert found["entropy"] == pytest.approx(noisy, abs=1e-5)


def test_most_positions_are_image_tokens(source, image) -> None:
    found = trap_numbers(source, image, PROMPT, 0.3, "source", 8)
    ids = source.processor(images=image, text=f"<image>\n{PROMPT}", return_tensors="pt").input_ids
    assert found["image_share"] == pytest.approx(
        float((ids == source.processor.image_token_id).float().mean())
    )
    mean = found["entropy_clean"]
    assert min(mean, found["words_clean"]) > 0 and found["words_clean"] != pytest.approx(mean)


def test_generated_tokens_are_those_of_the_same_pixels(source, image) -> None:
    found = trap_numbers(source, image, PROMPT, 0.3, "generated", 3)
    inputs = source.processor(images=image, text=f"<image>\n{PROMPT}", return_tensors="pt")
    tokens, entropies = inputs["input_ids"], []
    for _ in range(3):
        with torch.no_grad():
            given = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
            output = source.model(**given, pixel_values=inputs["pixel_values"])
        logprob = output.logits[0, -1].double().log_softmax(-1)
        token = int(logprob.argmax())
        if entropies and token == source.model.generation_config.eos_token_id:
            break
        entropies.append(float(-(logprob.exp() * logprob).sum()))
        if token == source.model.generation_config.eos_token_id:
            break
        tokens = torch.cat([tokens, torch.tensor([[token]])], dim=1)
    assert found["entropy_clean"] == pytest.approx(np.mean(entropies), abs=1e-4)


def test_an_engine_without_a_model_is_refused(image) -> None:
    with pytest.raises(ProbeError, match="needs a transformers model and its processor"):
        trap_numbers(SimpleNamespace(model=None), image, PROMPT, 0.3, "source", 8)
