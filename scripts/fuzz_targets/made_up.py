"""Values of any type, as several targets put them where others belong."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["clean", "Yes", "A", "gaussian_noise", 0, 1, 0.5, -1, 10**400])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "seed", "epsilon", "Yes", "metric", "x"]), inner)
    ),
    max_leaves=6,
)


Place = tuple[Any, ...]
REMOVED = object()


def places(value: Any, path: Place = ()) -> list[Place]:
    """Return the way to each part of a JSON value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, part in parts:
        found.append((*path, key))
        if isinstance(part, (dict, list)):
            found += places(part, (*path, key))
    return found


def changed(made: Any, changes: Sequence[tuple[Place, Any]]) -> Any:
    """Return a JSON value with some parts replaced or removed."""
    made = copy.deepcopy(made)
    for (*path, last), value in changes:
        holder = made
        with contextlib.suppress(KeyError, IndexError, TypeError):
            for key in path:
                holder = holder[key]
            if value is REMOVED:
                del holder[last]
            else:
                holder[last] = value
    return made
