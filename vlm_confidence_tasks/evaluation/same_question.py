"""Controls that ask a document's own question about the images of other documents."""

from collections.abc import Iterable
from dataclasses import replace

from vlm_confidence_tasks.benchmarks.dataset import Documents
from vlm_confidence_tasks.evaluation.control_drift import draw_other_images
from vlm_confidence_tasks.evaluation.request import Request
from vlm_confidence_tasks.types import CLEAN

# Other images a document: k + 1 clean answers in place of one.
CONTROLS = 4


class OtherImages:
    """The images of a task's data, from which controls are drawn.

    All images of the data are drawn from, not only those of the run, so that a document has
    the same controls whatever `--limit`, `--offset` or the number of processes. Only documents
    with as many images are drawn, since prompts may refer to their images by number.
    """

    def __init__(self, documents: Documents) -> None:
        """Sort the distinct images by how many there are of a document."""
        digests, counts = documents.digests(), documents.image_counts()
        self._count = dict(zip(digests, counts, strict=True))
        # The first document of each: those with equal digests have equal images.
        self._document = {digest: n for n, digest in reversed(list(enumerate(digests)))}
        self._images = {
            count: sorted(digest for digest, own in self._count.items() if own == count)
            for count in set(counts)
        }

    def draw(self, image: bytes) -> list[tuple[bytes, int]]:
        """Return up to `CONTROLS` other images of an image: digest and document of each.

        All questions about an image have the same ones. The draw depends on the image and the
        set of images only.
        """
        drawn = draw_other_images(image, self._images[self._count[image]], CONTROLS)
        return [(digest, self._document[digest]) for digest in drawn]


def control_requests(request: Request, images: OtherImages) -> list[Request]:
    """Return the requests that ask a clean request's question about other images of its task."""
    return [
        replace(
            request,
            # After the indices of the requests and of their second turns.
            index=(2 + position) * request.task.indices + request.index,
            key=replace(request.key, image=replace(request.key.image, source=digest)),
            options=(),
            other=document,
        )
        for position, (digest, document) in enumerate(images.draw(request.key.image.source))
    ]


def with_controls(requests: Iterable[Request]) -> list[Request]:
    """Return the requests of clean images whose question is asked about other images too."""
    return [
        request
        for request in requests
        if request.task.settings.control and request.representations and request.variant == CLEAN
    ]
