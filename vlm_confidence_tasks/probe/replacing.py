"""Temporarily replaces an attribute of one object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


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
