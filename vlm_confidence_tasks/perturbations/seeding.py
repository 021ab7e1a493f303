"""Digests of images, and the random generator of a perturbation.

Byte layouts, all integers big-endian and unsigned:

    image     sha256( width u32 | height u32 | RGB bytes, row by row )
    images    one image: its digest; n > 1: sha256( "images" | n u32 | digests, 32 bytes each )
    generator sha256( field(tag) field(image digest) field(name) field(parameters) field(seed) )

where `field(b)` is the length of b as u64 followed by b; the tag is `TAG`, the image
digest its 32 bytes, the name UTF-8, the parameters JSON (keys sorted, no spaces,
ASCII) without the strength, the seed decimal digits. That digest, read as an integer,
seeds `numpy.random.SFC64`. There is no global state.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from numpy.random import SFC64, Generator
from PIL import Image

from vlm_confidence_tasks.types import Scalar

TAG = b"vlm_confidence_tasks.perturbations/1"


def image_digest(image: Image.Image) -> str:
    """Return the hex sha256 of an RGB image's size and decoded bytes.

    >>> image_digest(Image.new("RGB", (2, 1)))[:16]
    'cf9ca3e23cecf649'

    Raises:
        ValueError: The image is not RGB.
    """
    require_rgb(image)
    size = b"".join(side.to_bytes(4, "big") for side in image.size)
    digest = hashlib.sha256(size)
    digest.update(image.tobytes())
    return digest.hexdigest()


def images_digest(images: Sequence[Image.Image]) -> str:
    """Return one hex digest for several images, in order; for one image, its own.

    Raises:
        ValueError: There are no images, or one is not RGB.
    """
    if not images:
        raise ValueError("images_digest needs at least one image, got none")
    digests = [bytes.fromhex(image_digest(image)) for image in images]
    if len(digests) == 1:
        return digests[0].hex()
    return hashlib.sha256(
        b"images" + len(digests).to_bytes(4, "big") + b"".join(digests)
    ).hexdigest()


def generator(
    digest: str, name: str, parameters: Mapping[str, Scalar], seed: int, strength: str | None = None
) -> Generator:
    """Return the random generator of one perturbation of one image, given its `image_digest`.

    `strength` is the parameter to leave out, so that a sweep over it uses one draw.

    >>> draw = generator("00" * 32, "gaussian_noise", {"epsilon": 0.3}, 0, "epsilon")
    >>> int(draw.integers(1000))
    668

    Raises:
        ValueError: The digest is not a hex sha256.
    """
    seeded = {key: value for key, value in parameters.items() if key != strength}
    canonical = json.dumps(seeded, sort_keys=True, separators=(",", ":"), allow_nan=False)
    fields = (TAG, _digest_bytes(digest), name.encode(), canonical.encode(), str(seed).encode())
    entropy = hashlib.sha256(b"".join(len(f).to_bytes(8, "big") + f for f in fields)).digest()
    return Generator(SFC64(int.from_bytes(entropy, "big")))


def require_rgb(image: object) -> None:
    """Raise ValueError unless this is a Pillow image in mode RGB with at least one pixel."""
    if not isinstance(image, Image.Image):
        raise ValueError(f"expected a PIL image, got {type(image).__name__}: convert it first")
    if image.mode != "RGB":
        raise ValueError(f"expected an RGB image, got mode {image.mode}: convert it to RGB first")
    if 0 in image.size:
        raise ValueError(f"expected an image with pixels, got size {image.size}")


def _digest_bytes(digest: str) -> bytes:
    try:
        raw = bytes.fromhex(digest)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise ValueError(f"digest must be the hex sha256 of image_digest, got {digest!r}")
    return raw
