"""Reading the samples of tasks that follow the code of "The Confidence Trap".

They hold an entropy of the prompt's positions, clean and noisy, and no answers: a line becomes a
document with one variant, so that all that takes changes of entropy takes these too.
"""

from pathlib import Path

import msgspec

from vlm_confidence_tasks.report.inputs.samples import (
    SamplesError,
    SamplesFile,
    check_once,
    check_regular,
    filled,
)
from vlm_confidence_tasks.types import CLEAN, Readout, Sample, Variant

# The variant that stands for what was done behind the processor.
TRAP = Variant("confidence_trap", family="confidence_trap")
# What the results file says of the documents: our metrics of entropy, by the trap's own names.
TRAP_NUMBERS = (
    "trap_entropy_clean",
    "trap_entropy",
    "trap_entropy_delta",
    "trap_entropy_drop_rate",
)


class _Line(msgspec.Struct, gc=False):
    doc_id: int
    trap_entropy_clean: float
    trap_entropy: float


_DECODER = msgspec.json.Decoder(_Line)


def read_trap_samples(path: Path) -> SamplesFile:
    """Read a samples file of a `caption_trap*` task, or raise SamplesError."""
    check_regular(path)
    try:
        with path.open("rb") as lines:
            samples = [_read_line(line, f"{path}, line {n}") for n, line in filled(lines)]
    except OSError as error:
        raise SamplesError(f"{path}: cannot be read: {error}") from error
    if not samples:
        raise SamplesError(f"{path}: no line in it")
    check_once([(sample.question_id, "") for sample in samples], path)
    return SamplesFile(samples)


def _read_line(text: bytes, where: str) -> Sample:
    try:
        line = _DECODER.decode(text)
    except msgspec.ValidationError as error:
        raise SamplesError(f"{where}: {error}; is it from a caption_trap task?") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SamplesError(f"{where}: not JSON ({error}); was its run interrupted?") from error
    # Each document is an image of its own, named by its place in the data.
    name = str(line.doc_id)
    clean, noisy = (
        Readout.of(variant, digest, "", None, None, entropy=entropy)
        for variant, digest, entropy in (
            (CLEAN, name, line.trap_entropy_clean),
            (TRAP, "", line.trap_entropy),
        )
    )
    return Sample(name, None, (), None, clean, (noisy,), question_id=name)
