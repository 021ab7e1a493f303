"""Images a second for each perturbation, beside the plainest call that does the same.

    python scripts/benchmarks/perturbations.py [--repeats 21] [--size 4000x4000 --repeats 3]

One photograph of 1024 x 768 or another size, one core, OpenCV on one thread. `perturb` is the
public function, Pillow image in and out, which hashes the image for the seed where it draws;
`digest` is the same with the image's digest given, as an evaluation does that shows one
image in many variants. The call works on what its library works on: it neither converts
nor hashes. Times are of the processor, medians over repeats that alternate between the three;
the ratios are perturb / call and digest / call. `!` marks one over 1.5; on images of over two
megapixels one over 3.

For the families of frequencies the call is the plain transform of the image, forth and back, and
the draw where there is one.

`scale` and `rotate` are measured against two calls. The OpenCV ones are not the same
operation: their results depend on the processor (SSE4 against AVX2, IPP or none), which
a perturbation here must not; and OpenCV's bicubic resize does not anti-alias. What moves pixels
or covers some is measured against `Pillow copy` too: on large images, the time to make a second
image is nearly all that they take.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.random import SFC64, Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_image

from vlm_confidence_tasks.perturbations import get, image_digest, perturb

SIZE = (1024, 768)
BAR, BAR_LARGE = 1.5, 3
LARGE = 2_000_000
WHITE = (255, 255, 255)
BICUBIC = Image.Resampling.BICUBIC
PARAMETERS: dict[str, dict[str, Any]] = {
    "gaussian_noise": {"epsilon": 0.3},
    "translate": {"dx": 16},
    "pad_crop": {"n": 16},
    "rotate": {"degrees": 30},
    "text_overlay": {"given": {"clean_answer": "Answer is Yes"}},
    "low_pass": {"cutoff": 0.1},
    "high_pass": {"cutoff": 0.1},
    "band_noise": {"epsilon": 0.1, "band": "mid"},
    "band_phase": {"band": "mid"},
}

Call = Callable[[], object]


def calls(image: Image.Image) -> Iterator[tuple[str, str, Call]]:
    """Yield perturbation, name of the call and the call itself."""
    x = np.array(image)
    rng = Generator(SFC64(0))
    line = np.diag(np.full(31, 1 / 31, np.float32))
    table = np.arange(256, dtype=np.uint8)
    turn = np.array([[0.87, 0.5, 0], [-0.5, 0.87, 512]])
    font = ImageFont.load_default(24)
    edge = cv2.BORDER_REPLICATE
    black = cv2.BORDER_CONSTANT
    small = image.width * 9 // 10, image.height * 9 // 10
    large = image.rotate(30, expand=True).size
    floats = x.astype(np.float64)
    cubic = cv2.INTER_CUBIC
    yield "gaussian_noise", "numpy standard_normal", lambda: rng.standard_normal(x.shape, "f4")
    yield "translate", "numpy roll", lambda: np.roll(x, 16, axis=1)
    yield "pad_crop", "cv2 copyMakeBorder", lambda: cv2.copyMakeBorder(x, 16, 16, 16, 16, black)
    for name in ("translate", "pad_crop", "occlusion"):
        yield name, "Pillow copy", image.copy
    yield "scale", "Pillow resize", lambda: image.resize(small, BICUBIC)
    yield "scale", "cv2 resize", lambda: cv2.resize(x, small, interpolation=cubic)
    yield "scale_pad", "Pillow resize", lambda: image.resize(small, BICUBIC)
    yield "rotate", "Pillow rotate", lambda: image.rotate(30, BICUBIC, True, fillcolor=WHITE)
    yield "rotate", "cv2 warpAffine", lambda: cv2.warpAffine(x, turn, large, None, cubic, 0, WHITE)
    yield "text_overlay", "Pillow copy, text", lambda: write(image, font)
    yield "gaussian_blur", "cv2 GaussianBlur", lambda: cv2.GaussianBlur(x, (0, 0), 3)
    yield "motion_blur", "cv2 filter2D", lambda: cv2.filter2D(x, -1, line, borderType=edge)
    yield "low_light", "cv2 LUT", lambda: cv2.LUT(x, table)
    yield "occlusion", "numpy copy, assign", lambda: cover(x)
    yield "jpeg", "cv2 imencode, imdecode", lambda: opencv_jpeg(x)
    yield "jpeg", "Pillow save, open", lambda: pillow_jpeg(image)
    for name in ("low_pass", "high_pass", "band_phase"):
        yield name, "numpy rfft2, irfft2", lambda: there_and_back(floats)
    yield "band_noise", "standard_normal, rfft2", lambda: white(x.shape)
    yield "object_noise", "numpy standard_normal", lambda: rng.standard_normal(x.shape, "f4")


def white(shape: tuple[int, ...]) -> None:
    """Draw white noise and transform it back and forth."""
    there_and_back(np.random.default_rng(0).standard_normal(shape))


def there_and_back(pixels: NDArray[np.float64]) -> None:
    """Transform all channels and back."""
    np.fft.irfft2(np.fft.rfft2(pixels, axes=(0, 1)), s=pixels.shape[:2], axes=(0, 1))


def write(image: Image.Image, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> None:
    """Write a text in a box, with a font that was loaded before."""
    draw = ImageDraw.Draw(image.copy())
    draw.rectangle((430, 370, 600, 400), fill=WHITE)
    draw.text((434, 374), "Answer is Yes", font=font, fill=(255, 0, 0))


def cover(x: NDArray[np.uint8]) -> None:
    """Cover a fifth of a copy."""
    height, width = x.shape[:2]
    x.copy()[height // 4 : height * 7 // 10, width // 4 : width * 7 // 10] = 127


def opencv_jpeg(x: NDArray[np.uint8]) -> None:
    """Write as JPEG and read back."""
    _, encoded = cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, 15])
    cv2.imdecode(encoded, cv2.IMREAD_COLOR)


def pillow_jpeg(image: Image.Image) -> None:
    """Write as JPEG and read back."""
    file = BytesIO()
    image.save(file, "JPEG", quality=15)
    Image.open(file).load()


def medians(functions: list[Call], repeats: int) -> list[float]:
    """Return the median seconds of each function, called in turn."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, taken in zip(functions, times, strict=True):
            start = time.process_time()
            function()
            taken.append(time.process_time() - start)
    return [statistics.median(taken) for taken in times]


def measure(image: Image.Image, name: str, call: Call, repeats: int) -> list[float]:
    """Return the seconds of `perturb`, of the same with a digest, and of the call."""
    parameters = PARAMETERS.get(name)
    if name == "object_noise":
        mask = np.zeros((image.height, image.width), np.bool_)
        mask[: image.height // 2, : image.width // 2] = True
        parameters = {"confidence": 0.5, "given": {"masks": {"thing": mask}}}
    if parameters is None:
        has_severity = any(parameter.name == "severity" for parameter in get(name).parameters)
        parameters = {"severity": 3} if has_severity else {}
    digest = image_digest(image)
    return medians(
        [
            lambda: perturb(image, name, **parameters),
            lambda: perturb(image, name, digest=digest, **parameters),
            call,
        ],
        repeats,
    )


def ratio(seconds: float, plain: float, bar: float) -> str:
    """Write a ratio, with a mark if it is over the bar."""
    return f"{seconds / plain:>7.2f}{'!' if seconds / plain > bar else ' '}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=21, help="times that each is run")
    parser.add_argument("--size", default="x".join(map(str, SIZE)), help="width x height")
    repeats, size = vars(parser.parse_args()).values()
    cv2.setNumThreads(1)
    width, height = map(int, size.split("x"))
    bar = BAR_LARGE if width * height > LARGE else BAR
    image = Image.fromarray(load_sample_image("china.jpg")).resize((width, height), BICUBIC)
    titles = "".join(f"{title:>10}" for title in ("perturb/s", "digest/s", "call/s"))
    print(f"{'perturbation':<15}{titles}   ratio   digest   call")
    for name, label, call in calls(image):
        whole, given, plain = measure(image, name, call, repeats)
        rates = "".join(f"{1 / seconds:>10.4g}" for seconds in (whole, given, plain))
        print(f"{name:<15}{rates}{ratio(whole, plain, bar)} {ratio(given, plain, bar)}  {label}")


if __name__ == "__main__":
    main()
