"""Both model providers on tiny random checkpoints, through transformers' own classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    BertConfig,
    BertTokenizerFast,
    CLIPTokenizerFast,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    Sam3Config,
    Sam3ImageProcessor,
    Sam3Model,
    Sam3Processor,
    SamConfig,
    SamImageProcessor,
    SamMaskDecoderConfig,
    SamModel,
    SamProcessor,
    SamPromptEncoderConfig,
    SamVisionConfig,
    SwinConfig,
)

from vlm_confidence_tasks.masks.grounding_dino_sam import GroundingDinoSam
from vlm_confidence_tasks.masks.sam3 import Sam3Masks

WORDS = ["red", "circle", "blue", "star"]
SIZES = [(64, 64), (50, 30), (30, 90)]


def save_grounding_dino(folder: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", *WORDS]
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    widths = {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "d_model": 32}
    backbone = SwinConfig(
        image_size=64,
        window_size=4,
        embed_dim=8,
        depths=[1, 1, 1],
        num_heads=[2, 2, 2],
        out_features=["stage2", "stage3"],
        out_indices=[2, 3],
    )
    text = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    config = GroundingDinoConfig(
        backbone_config=backbone,
        text_config=text,
        encoder_layers=1,
        decoder_layers=2,
        num_queries=6,
        num_feature_levels=3,
        max_text_len=32,
        **heads,
        **widths,
    )
    tokenizer = BertTokenizerFast(vocab={word: n for n, word in enumerate(words)})
    images = GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    GroundingDinoProcessor(images, tokenizer).save_pretrained(folder)


def save_sam(folder: Path) -> None:
    vision = SamVisionConfig(
        hidden_size=16,
        output_channels=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=64,
        patch_size=8,
        mlp_dim=32,
        num_pos_feats=8,
        window_size=4,
        global_attn_indexes=[0],
    )
    prompts = SamPromptEncoderConfig(
        hidden_size=16, image_size=64, patch_size=8, mask_input_channels=4
    )
    decoder = SamMaskDecoderConfig(
        hidden_size=16, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=16
    )
    config = SamConfig(
        vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder
    )
    images = SamImageProcessor(
        size={"longest_edge": 64},
        pad_size={"height": 64, "width": 64},
        mask_size={"longest_edge": 32},
        mask_pad_size={"height": 32, "width": 32},
    )
    SamModel(config).save_pretrained(folder)
    SamProcessor(images).save_pretrained(folder)


def save_sam3(folder: Path) -> None:
    layer = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    backbone = {
        "model_type": "sam3_vit_model",
        **layer,
        "num_hidden_layers": 1,
        "image_size": 56,
        "pretrain_image_size": 28,
        "patch_size": 14,
        "window_size": 2,
        "global_attn_indexes": [0],
    }
    config = Sam3Config(
        vision_config={
            "backbone_config": backbone,
            "fpn_hidden_size": 16,
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        text_config={
            **layer,
            "vocab_size": 2 + len(WORDS),
            "num_hidden_layers": 1,
            "max_position_embeddings": 32,
            "projection_dim": 16,
        },
        geometry_encoder_config={**layer, "num_layers": 1, "roi_size": 2},
        detr_encoder_config={**layer, "num_layers": 1},
        detr_decoder_config={**layer, "num_layers": 2, "num_queries": 5},
        mask_decoder_config={"hidden_size": 16, "num_attention_heads": 2},
    )
    words = ["<|startoftext|>", "<|endoftext|>", *(f"{word}</w>" for word in WORDS)]
    tokenizer = CLIPTokenizerFast(vocab={word: n for n, word in enumerate(words)}, merges=[])
    images = Sam3ImageProcessor(size={"height": 56, "width": 56})
    model = Sam3Model(config)
    # With its usual start all pixels of all masks are alike.
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(8 if weights.dim() > 1 else 1)
    model.save_pretrained(folder)
    Sam3Processor(images, tokenizer).save_pretrained(folder)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of random models."""
    root = tmp_path_factory.mktemp("models")
    makers: dict[str, Callable[[Path], None]] = {
        "dino": save_grounding_dino,
        "sam": save_sam,
        "sam3": save_sam3,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name, save in makers.items():
            save(root / name)
    return {name: str(root / name) for name in makers}


@pytest.fixture
def dino_sam(checkpoints: dict[str, str]) -> GroundingDinoSam:
    return GroundingDinoSam(
        checkpoints["dino"], checkpoints["sam"], threshold=0.0, text_threshold=0.0
    )


@pytest.fixture
def sam3(checkpoints: dict[str, str]) -> Sam3Masks:
    return Sam3Masks(checkpoints["sam3"], threshold=0.0)


def image_of(size: tuple[int, int], seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@pytest.mark.parametrize("size", SIZES)
def test_boxes_and_their_masks_have_the_images_size(
    dino_sam: GroundingDinoSam, size: tuple[int, int]
) -> None:
    image = image_of(size)
    boxes = dino_sam.boxes(image, "red circle")
    assert boxes.shape == (6, 4)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert (centres >= 0).all() and (centres <= size).all() and (centres.max(axis=0) > 1).all()
    masks = dino_sam.segment(image, boxes)
    assert (masks.dtype, masks.shape) == (bool, (6, size[1], size[0]))
    whole = dino_sam.mask(image, ["red circle"])
    assert np.array_equal(whole, masks.any(axis=0))


def test_masks_stand_in_the_order_of_their_boxes(dino_sam: GroundingDinoSam) -> None:
    image = image_of((50, 30))
    boxes = np.array([[0, 0, 50, 30], [5, 5, 12, 12], [30, 10, 49, 29]], np.float32)
    together = dino_sam.segment(image, boxes)
    assert len({mask.tobytes() for mask in together}) > 1, "the order was not tested"
    for box, mask in zip(boxes, together, strict=True):
        alone = dino_sam.segment(image, box[None])[0]
        assert (alone == mask).mean() > 0.999
    backwards = dino_sam.segment(image, boxes[::-1])
    assert (backwards[::-1] == together).mean() > 0.999


@pytest.mark.parametrize("size", SIZES)
def test_sam3_gives_masks_of_the_images_size(sam3: Sam3Masks, size: tuple[int, int]) -> None:
    image = image_of(size)
    masks = sam3.segment(image, "red circle")
    assert (masks.dtype, masks.shape) == (bool, (5, size[1], size[0]))
    other = sam3.segment(image, "blue star")
    assert not np.array_equal(masks, other), "the phrase was not read"
    both = sam3.mask(image, ["red circle", "blue star"])
    assert np.array_equal(both, masks.any(axis=0) | other.any(axis=0))


def test_nothing_over_the_threshold_is_no_mask(checkpoints: dict[str, str]) -> None:
    image = image_of((50, 30))
    strict = GroundingDinoSam(checkpoints["dino"], checkpoints["sam"], threshold=1.0)
    assert strict.boxes(image, "red circle").shape == (0, 4)
    assert strict.mask(image, ["red circle", "star"]) is None
    assert Sam3Masks(checkpoints["sam3"], threshold=1.0).mask(image, ["red circle"]) is None


def test_names_have_files_and_thresholds(checkpoints: dict[str, str]) -> None:
    made = [
        GroundingDinoSam(checkpoints["dino"], checkpoints["sam"]),
        GroundingDinoSam(checkpoints["dino"], checkpoints["sam"], threshold=0.1),
        Sam3Masks(checkpoints["sam3"]),
        Sam3Masks(checkpoints["sam3"], mask_threshold=0.1),
    ]
    assert len({provider.name for provider in made}) == 4
    file = Path(checkpoints["sam"]) / "config.json"
    before = file.read_text()
    file.write_text(before + "\n")
    again = GroundingDinoSam(checkpoints["dino"], checkpoints["sam"]).name
    file.write_text(before)
    assert again != made[0].name
