"""Files that replace others whole: written beside them, and renamed when all are there."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".vlm-confidence-unfinished-"


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Give a new folder, whose files are moved into another one when the block ends well.

    If it does not, or the process is killed in it, the other folder is as it was, but for what
    was left unfinished, which the next call removes. A link in a file's place is replaced; what it
    leads to stays as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{UNFINISHED}*"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder) as made:
        new = Path(made)
        yield new
        files = sorted(path.relative_to(new) for path in new.rglob("*") if path.is_file())
        # Those in folders first: pages that are opened find what they load.
        files.sort(key=lambda file: -len(file.parts))
        for parent in {file.parent for file in files}:
            (folder / parent).mkdir(parents=True, exist_ok=True)
        for file in files:
            os.replace(new / file, folder / file)
