"""Reading the samples of tasks that follow the code of "The Confidence Trap".

They hold an entropy of the prompt's positions, clean and noisy, and no answers: a row becomes a
document with one variant, so that all that takes changes of entropy takes these too.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from vlm_confidence_tasks.metrics import Sample
from vlm_confidence_tasks.report.inputs.samples import Row, SamplesError, SamplesFile
from vlm_confidence_tasks.types import CLEAN, Readout, Variant

# The variant that stands for what was done behind the processor.
TRAP = Variant("confidence_trap", family="confidence_trap")


class _Row(msgspec.Struct, gc=False):
    doc_id: int
    trap_entropy_clean: float
    trap_entropy: float


_DECODER = msgspec.json.Decoder(_Row)


def read_trap_samples(path: Path) -> SamplesFile:
    """Read a samples file of a `caption_trap*` task.

    Raises:
        SamplesError: There is no such file, it is empty, or a line is torn or is not from
            such a task.
    """
    try:
        with path.open("rb") as lines:
            rows = [_row(line, f"{path}, line {n}") for n, line in enumerate(lines, 1)]
    except OSError as error:
        raise SamplesError(f"{path}: cannot be read: {error}") from error
    if not rows:
        raise SamplesError(f"{path}: no line in it")
    return SamplesFile(rows)


def _row(line: bytes, where: str) -> Row:
    try:
        record = _DECODER.decode(line)
    except msgspec.ValidationError as error:
        raise SamplesError(f"{where}: {error}; is it from a caption_trap task?") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SamplesError(f"{where}: not JSON ({error}); was its run interrupted?") from error
    # Each document is an image of its own, named by its place in the data.
    name = str(record.doc_id)
    clean, noisy = (
        Readout(variant, "", "", None, None, entropy=entropy)
        for variant, entropy in ((CLEAN, record.trap_entropy_clean), (TRAP, record.trap_entropy))
    )
    return Row(name, "", name, "", Sample(name, None, (), None, clean, (noisy,)))
