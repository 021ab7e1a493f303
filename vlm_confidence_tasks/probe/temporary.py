"""Changes of an object that are undone after a block: attributes and forward hooks."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def replaced(target: Any, name: str, value: Any) -> Iterator[None]:
    """Set `target.name` in the block and restore it exactly afterwards.

    >>> class Thing:
    ...     def speak(self):
    ...         return "moo"
    >>> thing = Thing()
    >>> with replaced(thing, "speak", lambda: "..."):
    ...     thing.speak()
    '...'
    >>> thing.speak(), vars(thing)
    ('moo', {})
    """
    own = name in vars(target)
    before = vars(target).get(name)
    setattr(target, name, value)
    try:
        yield
    finally:
        if own:
            setattr(target, name, before)
        else:
            delattr(target, name)


@contextmanager
def hooked(
    module: torch.nn.Module, hook: Callable[..., Any], *, with_kwargs: bool = False
) -> Iterator[None]:
    """Call `hook` after each forward pass of a module that this thread runs in the block.

    Forward passes of other threads, such as those of a need's provider, are not steps of this
    thread's generate() and are ignored.
    """
    own = threading.get_ident()

    def in_own_thread(*args: Any) -> Any:
        return hook(*args) if threading.get_ident() == own else None

    handle = module.register_forward_hook(in_own_thread, with_kwargs=with_kwargs)
    try:
        yield
    finally:
        handle.remove()
