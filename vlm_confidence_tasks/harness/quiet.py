"""One progress bar instead of the adapter's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tqdm


@contextmanager
def adapter_bars_off(adapter: Any) -> Iterator[None]:
    """Silence the progress bars that an adapter opens anew in each of its calls.

    Adapters import `tqdm` into their own modules; there it is replaced, in the block, by
    one that draws nothing.
    """

    def silent(*args: Any, **kwargs: Any) -> Any:
        return tqdm.tqdm(*args, **{**kwargs, "disable": True})

    modules = {sys.modules[cls.__module__] for cls in type(adapter).__mro__}
    loud = [module for module in modules if getattr(module, "tqdm", None) is tqdm.tqdm]
    for module in loud:
        vars(module)["tqdm"] = silent
    try:
        yield
    finally:
        for module in loud:
            vars(module)["tqdm"] = tqdm.tqdm
