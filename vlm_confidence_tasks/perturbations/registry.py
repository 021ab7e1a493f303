"""Perturbations by name.

>>> from PIL import Image, ImageOps
>>> @register("upside_down", family="mirror")
... def upside_down(image: Image.Image) -> Image.Image:
...     return ImageOps.flip(image)
>>> get("upside_down").family
'mirror'
>>> unregister("upside_down")
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from vlm_confidence_tasks.perturbations.parameters import Parameter, read_parameters
from vlm_confidence_tasks.perturbations.perturbation import Function, Perturbation
from vlm_confidence_tasks.types import CLEAN, Scalar

RESERVED = frozenset({"name", "seed", "phrase", "digest"})

_REGISTRY: dict[str, Perturbation] = {}


def register(
    name: str,
    *,
    family: str,
    strength: str | None = None,
    controls: Mapping[str, tuple[Scalar, ...]] | None = None,
) -> Callable[[Function], Function]:
    """Make a function known by a name; the function itself stays as it is.

    The function is `(image, [rng], [phrase], *, parameters) -> image`, on RGB images.
    It takes `rng` (a `numpy.random.Generator` of its own) if it draws, and `phrase` if
    it shows a text that depends on the clean answer. It must not change `image`.

    Args:
        name: The name, which must be free.
        family: The name under which flips are counted.
        strength: The parameter that is left out of the seed.
        controls: For a parameter, the values that make a control condition; their
            family is `<family>_<value>`.

    Raises:
        ValueError: The name is taken, or the function's signature is not as above.
    """
    if name in _REGISTRY or name == CLEAN.perturbation:
        raise ValueError(f"the perturbation {name!r} is registered already")
    if not family.isidentifier():
        # It becomes part of metrics' names (`ifr_<family>`).
        raise ValueError(f"{name}: family must be letters, digits and _, got {family!r}")

    def add(function: Function) -> Function:
        parameters = read_parameters(function)
        extras = _extras(name, function)
        _check_names(name, parameters, {*(controls or {}), *([strength] if strength else [])})
        _REGISTRY[name] = Perturbation(
            name=name,
            family=family,
            function=function,
            parameters=parameters,
            strength=strength,
            draws="rng" in extras,
            needs_answer="phrase" in extras,
            controls=dict(controls or {}),
        )
        return function

    return add


def unregister(name: str) -> None:
    """Forget a perturbation, for a test or a notebook that defines it again.

    Raises:
        ValueError: There is no perturbation of this name.
    """
    del _REGISTRY[get(name).name]


def names() -> tuple[str, ...]:
    """Return the registered names, sorted."""
    return tuple(sorted(_REGISTRY))


def get(name: str) -> Perturbation:
    """Return the perturbation of a name.

    Raises:
        ValueError: There is none.
    """
    if name not in _REGISTRY:
        raise ValueError(f"unknown perturbation {name!r}; known: {', '.join(names())}")
    return _REGISTRY[name]


def _extras(name: str, function: Function) -> list[str]:
    arguments = inspect.signature(function).parameters.values()
    positional = [a.name for a in arguments if a.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    extras = positional[1:]
    if not positional or extras not in ([], ["rng"], ["phrase"], ["rng", "phrase"]):
        raise ValueError(
            f"{name}: the function must take (image, [rng], [phrase], *, parameters), "
            f"but takes {positional} before its keywords"
        )
    return extras


def _check_names(name: str, parameters: tuple[Parameter, ...], used: set[str]) -> None:
    known = {parameter.name for parameter in parameters}
    if missing := used - known:
        raise ValueError(f"{name} has no parameter {sorted(missing)}; known: {sorted(known)}")
    if taken := known & RESERVED:
        raise ValueError(f"{name} may not call a parameter {sorted(taken)}: reserved")
