"""Gradients through preprocessing and model against differences, in several families."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from harness.kept_runs import evaluate, write_tasks
from lmms_eval.tasks import TaskManager
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from vlm_confidence_tasks.attacks import ModelObjective, PixelPath
from vlm_confidence_tasks.attacks.pixels import KEY, Cost
from vlm_confidence_tasks.attacks.prompt import make_prompt
from vlm_confidence_tasks.probe import ProbeError, label_tokens
from vlm_confidence_tasks.sandbox import MODEL_DIR
from vlm_confidence_tasks.types import Question

QUESTION = Question("0", "x", "Is there a red circle in the image?", ("Yes", "No"))
# Tiles, patches with their own normalisation, several crops, and another image size each.
SEVERAL = ("tiny", "llava_next", "qwen2_5_vl", "idefics3", "internvl")
# In float32 the difference of two losses is exact to about 1e-6; a step of this length
# in 0..1 moves them by 0.01.
STEP = 3e-3


def picture(seed: int = 0, size: tuple[int, int] = (80, 64)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(60, 200, (*size[::-1], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def loaded(checkpoint):
    """A function that loads a family's model and processor, once."""
    made = {}

    def load(family: str) -> SimpleNamespace:
        if family not in made:
            path = MODEL_DIR if family == "tiny" else checkpoint(family)
            model = AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32).eval()
            processor = AutoProcessor.from_pretrained(path)
            made[family] = SimpleNamespace(model=model, processor=processor)
        return made[family]

    return load


def objective(source, goal: str, image: Image.Image, label=None) -> ModelObjective:
    prompt = make_prompt(source, QUESTION, [image], ())
    path = PixelPath(source.processor.image_processor, prompt.image_options, [image], 0, Cost())
    labels = label_tokens(source.processor.tokenizer, QUESTION.labels)
    return ModelObjective(source.model, prompt.inputs, path, labels, goal, image, Cost(), -1, label)


def loss(source, judged: ModelObjective, image: Image.Image, moved: torch.Tensor) -> float:
    """The loss at what the processor makes of an image, moved by some of its float pixels.

    Written out from the definitions; `moved` is [H, W, 3] in 0..1.
    """
    process = source.processor.image_processor
    prompt = make_prompt(source, QUESTION, [judged.start], ())
    pixels = torch.tensor(np.asarray(image), dtype=torch.float32).permute(2, 0, 1)
    shift = 255 * moved.permute(2, 0, 1)

    def processed(shown):
        return process(images=[shown], **{**prompt.image_options, "return_tensors": "pt"})[KEY]

    values = processed(image) + processed(pixels + shift) - processed(pixels)
    shape = prompt.inputs[KEY].shape
    with torch.no_grad():
        output = source.model(**prompt.inputs | {KEY: values.reshape(shape)})
    logprob = output.logits[0, -1].double().log_softmax(-1)
    yes, no = (
        logprob[list(tokens)].logsumexp(0)
        for tokens in label_tokens(source.processor.tokenizer, QUESTION.labels)
    )
    lead = yes - no if judged.label == 0 else no - yes
    if judged._goal == "flip":
        return float(lead)
    return float(-(logprob.exp() * logprob).sum() + lead.clamp(min=0))


@pytest.mark.parametrize("goal", ["flip", "sure"])
@pytest.mark.parametrize("family", SEVERAL)
def test_the_gradient_equals_differences(loaded, family: str, goal: str) -> None:
    source, image = loaded(family), picture()
    judged = objective(source, goal, image, label=0)
    gradient = torch.tensor(judged(image).gradient)
    assert float(gradient.norm()) > 1e-3
    # The gradient's own direction, and a random part of it.
    chosen = torch.tensor(np.random.default_rng(1).random(gradient.shape) < 0.3)
    for direction in (gradient, gradient * chosen):
        unit = direction / direction.norm()
        ahead, behind = (loss(source, judged, image, s * STEP * unit) for s in (1, -1))
        expected = float((gradient * unit).sum())
        assert (ahead - behind) / (2 * STEP) == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("family", ["llava_next", "gemma3", "mllama"])
def test_a_continued_prompt_is_where_generate_gets(loaded, family: str) -> None:
    source = loaded(family)
    prompt = make_prompt(source, QUESTION, [picture()], ())
    generated = source.model.generate(
        **prompt.inputs,
        max_new_tokens=3,
        min_new_tokens=3,
        do_sample=False,
        return_dict_in_generate=True,
        output_logits=True,
    )
    tokens = generated.sequences[0, -3:-1].tolist()
    with torch.no_grad():
        output = source.model(**make_prompt(source, QUESTION, [picture()], tokens).inputs)
    assert torch.allclose(output.logits[0, -1], generated.logits[2][0], atol=1e-4)


@pytest.mark.parametrize("family", SEVERAL)
def test_the_context_of_the_clean_image_is_at_no_distance(loaded, family: str) -> None:
    source, image = loaded(family), picture()
    judged = objective(source, "hidden", image)
    assert judged(image).value == pytest.approx(1, abs=1e-5)
    assert judged(picture(1)).value < 1 - 1e-4
    with torch.no_grad():
        prompt = make_prompt(source, QUESTION, [image], ())
        states = [
            source.model(
                **prompt.inputs | {KEY: make_prompt(source, QUESTION, [shown], ()).inputs[KEY]},
                output_hidden_states=True,
            ).hidden_states[-1][0, -1]
            for shown in (image, picture(1))
        ]
    expected = torch.nn.functional.cosine_similarity(*states, dim=0)
    assert judged(picture(1)).value == pytest.approx(float(expected), abs=1e-5)


def test_the_model_is_given_what_its_processor_makes_and_keeps_its_weights_flags(loaded) -> None:
    source, image, other = loaded("llava_next"), picture(), picture(1)
    judged = objective(source, "flip", image)
    seen = []
    hook = source.model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs[KEY].detach()), with_kwargs=True
    )
    flags = [weight.requires_grad for weight in source.model.parameters()]
    judged(other)
    hook.remove()
    exact = make_prompt(source, QUESTION, [other], ()).inputs[KEY]
    assert torch.allclose(seen[0], exact, atol=1e-6, rtol=0)
    assert [weight.requires_grad for weight in source.model.parameters()] == flags
    assert all(weight.grad is None for weight in source.model.parameters())


def test_a_processor_without_a_path_for_the_gradient_is_named() -> None:
    class Rounding:
        def __call__(self, images, **options):
            return {
                KEY: torch.stack(
                    [
                        torch.tensor(
                            np.asarray(image.detach() if torch.is_tensor(image) else image)
                        )
                        .float()
                        .reshape(3, 64, 80)
                        for image in images
                    ]
                )
            }

    path = PixelPath(Rounding(), {}, [picture()], 0, Cost())
    with pytest.raises(ProbeError, match="no gradient comes through Rounding: attacks need an"):
        path(picture())


def test_a_processor_without_a_chat_template_is_named(loaded) -> None:
    source = SimpleNamespace(processor=SimpleNamespace(chat_template=None), model=None)
    with pytest.raises(ProbeError, match="SimpleNamespace has no chat template"):
        make_prompt(source, QUESTION, [picture()], ())


def test_of_two_images_one_changes(loaded) -> None:
    source = loaded("tiny")
    images = [picture(0, (64, 64)), picture(1, (64, 64))]
    process = source.processor.image_processor
    path = PixelPath(process, {}, images, 1, Cost())
    pixels, values = path(picture(2, (64, 64)))
    expected = process(images=[images[0], picture(2, (64, 64))], return_tensors="pt")[KEY]
    assert torch.allclose(values.detach(), expected, atol=1e-6)
    (gradient,) = torch.autograd.grad(values[1].sum(), pixels, retain_graph=True)
    assert gradient.abs().min() > 0
    (none,) = torch.autograd.grad(values[0].sum(), pixels, allow_unused=True)
    assert none is None or not none.any()


@pytest.mark.parametrize("family", ["llava_next", "qwen2_5_vl"])
def test_hf_multimodal_can_be_attacked(checkpoint, zoo_environment, tmp_path, family) -> None:
    # One step is enough to need the rebuilt prompt and a gradient.
    attack = "perturbations: [{name: pgd, goal: flip, epsilon: 0.05, steps: 1}]"
    folder = write_tasks(tmp_path, attacked=attack)
    manager = TaskManager("WARNING", folder, include_defaults=False)
    arguments = f"pretrained={checkpoint(family)},device=cpu,dtype=float32"
    found = evaluate(manager, ["attacked"], model="hf_multimodal", model_args=arguments, limit=1)
    (row,) = found["samples"]["attacked"]
    clean, attacked = row["readouts"]
    assert attacked["variant"] == "pgd" and attacked["image_sha256"] != clean["image_sha256"]
