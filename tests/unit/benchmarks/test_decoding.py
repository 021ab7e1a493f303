"""Stored images: read from the data alone, within a limit, at 8 bits."""

from __future__ import annotations

import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from loguru import logger
from PIL import Image, PngImagePlugin

from vlm_confidence_tasks.benchmarks import DocumentError
from vlm_confidence_tasks.benchmarks.base import to_rgb
from vlm_confidence_tasks.benchmarks.dataset import strict_decoding
from vlm_confidence_tasks.benchmarks.decoding import Decoder, max_pixels
from vlm_confidence_tasks.errors import TaskError

RAMP = np.linspace(0, 1, 256).reshape(16, 16)
GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def shown(data: bytes, **options: object) -> np.ndarray:
    # As a run reads them: the harness, once imported, tells Pillow otherwise.
    with strict_decoding():
        return np.asarray(to_rgb(Decoder("x", **options).image({"bytes": data, "path": "x.png"})))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(
    "values",
    [
        (RAMP * 65535).astype(np.uint16),
        # Of a camera of 12 bits.
        (256 + RAMP * 4080).astype(np.uint16),
        (RAMP * 65535).astype(">u2"),
    ],
)
def test_16_bits_are_scaled_by_the_images_own_range(values: np.ndarray, kind: str) -> None:
    found = shown(file_of(Image.fromarray(values), kind))
    assert np.abs(found - GREY[..., None].astype(int)).max() <= 1
    assert found.min() == 0 and found.max() == 255


@pytest.mark.parametrize(
    "values",
    [
        RAMP.astype(np.float32),
        (RAMP * 6e38 - 3e38).astype(np.float32),
        (RAMP * 1e-40).astype(np.float32),
        (RAMP * 3e9 - 1.5e9).astype(np.int32),
    ],
)
def test_32_bits_too(values: np.ndarray) -> None:
    found = shown(file_of(Image.fromarray(values), "TIFF"))
    assert np.abs(found - GREY[..., None].astype(int)).max() <= 1


def test_an_image_of_one_value_is_black() -> None:
    assert not shown(file_of(Image.fromarray(np.full((2, 2), 9.5, np.float32)), "TIFF")).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    values = RAMP.astype(np.float32)
    values[3, 4] = value
    with pytest.raises(DocumentError, match="a value of it is not finite"):
        shown(file_of(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_8_bits_are_as_pillow_has_them(mode: str) -> None:
    image = Image.fromarray(GREY).convert(mode)
    data = file_of(image, "TIFF" if mode == "CMYK" else "PNG")
    assert np.array_equal(shown(data), np.asarray(image.convert("RGB")))


def test_it_is_said_once_for_a_data_set() -> None:
    said: list[str] = []
    sink = logger.add(said.append, format="{message}")
    decoder = Decoder("data set d")
    deep = {"bytes": file_of(Image.fromarray((RAMP * 65535).astype(np.uint16))), "path": None}
    for cell in (deep, deep, {"bytes": file_of(Image.fromarray(GREY)), "path": None}):
        decoder.image(cell)
    logger.remove(sink)
    assert [line.partition(" (mode")[0] for line in said] == [
        "data set d: images of more than 8 bits"
    ]


def test_an_animation_shows_its_first_image_and_exif_turns_it() -> None:
    frames = [Image.fromarray(np.full((4, 6), value, np.uint8)) for value in (50, 200)]
    gif = file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (shown(gif) == 50).all()
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned by 90 degrees.
    turned = file_of(frames[0], "JPEG", exif=exif, quality=95)
    assert shown(turned).shape == (6, 4, 3)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes, whose pixels are all missing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_more_pixels_than_the_limit_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(bomb(8000, 8000)) < 100
    with pytest.raises(DocumentError, match="it has 8000 x 8000 pixels, more than 50000000: make"):
        shown(bomb(8000, 8000))
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_PIXELS", "256")
    assert max_pixels() == 256
    assert shown(file_of(Image.fromarray(GREY))).shape == (16, 16, 3)
    with pytest.raises(DocumentError, match="it has 17 x 16 pixels, more than 256"):
        shown(bomb(17, 16))


@pytest.mark.parametrize("value", ["0", "-5", "1e6", "many"])
def test_a_limit_that_is_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_PIXELS", value)
    with pytest.raises(
        TaskError, match=f"VLM_CONFIDENCE_MAX_PIXELS is '{value}', expected a whole"
    ):
        Decoder("x")


def test_a_text_that_grows_is_refused() -> None:
    note = PngImagePlugin.PngInfo()
    note.add_text("Comment", "x" * 20_000_000, zip=True)
    data = file_of(Image.fromarray(GREY), pnginfo=note)
    assert len(data) < 100_000
    with pytest.raises(ValueError, match="Decompressed data too large"):
        shown(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "data"
    (inside / "images").mkdir(parents=True)
    for name in ("secret.png", "data/images/a.png"):
        Image.fromarray(GREY).save(tmp_path / name)
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    os.mkfifo(inside / "fifo.png")
    return inside


def test_a_file_in_the_folder_is_read(folder: Path) -> None:
    for path in ("images/a.png", "images/../images/a.png", str(folder / "images" / "a.png")):
        image = Decoder("x", folder).image({"bytes": None, "path": path})
        assert np.array_equal(np.asarray(image), GREY)


@pytest.mark.parametrize(
    "path",
    [
        *("../secret.png", "images/../../secret.png", "{parent}/secret.png", "link.png"),
        *("http://127.0.0.1:9/a.png", "file://{parent}/secret.png", "hf://datasets/a/b/c.png"),
        *("zip://a.png::https://x.y/z.zip", "fifo.png", "images", "b.png", "a\0b.png", "x" * 5000),
    ],
)
def test_other_paths_are_refused(folder: Path, path: str) -> None:
    path = path.format(parent=folder.parent)
    with pytest.raises(DocumentError, match="which is no file in"):
        Decoder("x", folder).image({"bytes": None, "path": path})
    with pytest.raises(DocumentError, match="it is only named, .*the data must hold the image its"):
        Decoder("x").image({"bytes": None, "path": path})


@pytest.mark.parametrize("cell", [None, {"bytes": None, "path": None}, {"bytes": None, "path": ""}])
def test_a_cell_without_an_image(cell: dict | None) -> None:
    with pytest.raises(DocumentError, match="there is no image"):
        Decoder("x").image(cell)
