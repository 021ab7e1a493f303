"""Perturbations by name."""

import inspect
from collections.abc import Callable, Mapping, Set

from vlm_confidence_tasks.perturbations.needs import NEEDS, Need
from vlm_confidence_tasks.perturbations.parameters import Parameter, read_parameters
from vlm_confidence_tasks.perturbations.perturbation import Function, Perturbation
from vlm_confidence_tasks.types import CLEAN, Scalar, Variant

RESERVED = frozenset({"name", "seed", "given", "digest", *NEEDS.values()})

_REGISTRY: dict[str, Perturbation] = {}


def register(
    name: str,
    *,
    family: str,
    strength: str | None = None,
    controls: Mapping[str, tuple[Scalar, ...]] | None = None,
    needs: Set[Need] = frozenset(),
    in_pixels: bool = False,
) -> Callable[[Function], Function]:
    """Register a function under a name; the function itself stays as it is.

    The function is `(image, [rng], [phrase], [gradient], [masks], *, parameters) -> image`,
    on RGB images. It takes `rng` (a `numpy.random.Generator` of its own) if it draws, and
    the arguments of the needs that it declares (`NEEDS`). It must not change `image`.

    Args:
        name: The name, which must be free.
        family: The name under which flips are counted.
        strength: The parameter that is left out of the seed.
        controls: For a parameter, the values that make a control condition; their
            family is `<family>_<value>`.
        needs: What it depends on besides image, parameters and seed, keys of `NEEDS`.
        in_pixels: Whether its strength is in pixels of the image that it is given, so that less
            of it is left where a model sees a large image smaller.

    Raises:
        ValueError: The name is taken, a need is unknown, or the function's signature
            is not as above.
    """
    if name in _REGISTRY or name == CLEAN.perturbation:
        raise ValueError(f"the perturbation {name!r} is registered already")
    if not family.isidentifier():
        # It becomes part of metrics' names (`ifr_<family>`).
        raise ValueError(f"{name}: family must be letters, digits and _, got {family!r}")

    if unknown := sorted(needs - NEEDS.keys()):
        raise ValueError(f"{name}: unknown need {unknown[0]!r}; known: {', '.join(NEEDS)}")

    def add(function: Function) -> Function:
        parameters = read_parameters(function)
        extras = _extras(name, function)
        _check_needs(name, extras, needs)
        _check_names(name, parameters, {*(controls or {}), *([strength] if strength else [])})
        _REGISTRY[name] = Perturbation(
            name=name,
            family=family,
            function=function,
            parameters=parameters,
            strength=strength,
            draws="rng" in extras,
            needs=frozenset(needs),
            in_pixels=in_pixels,
            controls=dict(controls or {}),
        )
        return function

    return add


def names() -> tuple[str, ...]:
    """Return the registered names, sorted."""
    return tuple(sorted(_REGISTRY))


def get(name: str) -> Perturbation:
    """Return the perturbation of a name, or raise ValueError."""
    if name not in _REGISTRY:
        raise ValueError(f"unknown perturbation {name!r}; known: {', '.join(names())}")
    return _REGISTRY[name]


def families() -> tuple[str, ...]:
    """Return the names of all families, control conditions' too, in order of registration."""
    found = (family for perturbation in _REGISTRY.values() for family in perturbation.families)
    return tuple(dict.fromkeys(found))


def needs_of(variant: Variant) -> frozenset[Need]:
    """Return what a variant needs besides the image (`NEEDS`); nothing for the clean one."""
    clean = variant.perturbation == CLEAN.perturbation
    return frozenset() if clean else get(variant.perturbation).needs


def _extras(name: str, function: Function) -> list[str]:
    arguments = inspect.signature(function).parameters.values()
    positional = [a.name for a in arguments if a.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    order = ("rng", *NEEDS.values())
    extras = positional[1:]
    if not positional or extras != [extra for extra in order if extra in extras]:
        raise ValueError(
            f"{name}: the function must take (image, [{'], ['.join(order)}], *, parameters), "
            f"but takes {positional} before its keywords"
        )
    return extras


def _check_needs(name: str, extras: list[str], needs: Set[Need]) -> None:
    for need, argument in NEEDS.items():
        if need in needs and argument not in extras:
            raise ValueError(f"{name} declares the need {need}, but takes no argument {argument}")
        if argument in extras and need not in needs:
            raise ValueError(f"{name} takes {argument}, but does not declare needs={{{need!r}}}")


def _check_names(name: str, parameters: tuple[Parameter, ...], used: set[str]) -> None:
    known = {parameter.name for parameter in parameters}
    if missing := used - known:
        raise ValueError(f"{name} has no parameter {sorted(missing)}; known: {sorted(known)}")
    if taken := known & RESERVED:
        raise ValueError(f"{name} may not call a parameter {sorted(taken)}: reserved")
