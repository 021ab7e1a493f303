"""A task's list of perturbations -> its variants."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from vlm_confidence_tasks.perturbations.registry import get
from vlm_confidence_tasks.types import Variant


def variants(specs: Sequence[Mapping[str, object]]) -> tuple[Variant, ...]:
    """Expand a task's list of perturbations, and check all of it.

    Any value may be a list, which means each of its values. Several lists mean all
    combinations, in the order written: what is written last varies fastest.

    >>> for variant in variants([{"name": "gaussian_noise", "epsilon": [0, 0.3], "seed": [0, 1]}]):
    ...     print(variant)
    gaussian_noise(epsilon=0.0, seed=0)
    gaussian_noise(epsilon=0.0, seed=1)
    gaussian_noise(epsilon=0.3, seed=0)
    gaussian_noise(epsilon=0.3, seed=1)

    Raises:
        ValueError: A name or parameter is unknown, missing or bad, or two variants
            are equal.
    """
    expanded = tuple(variant for spec in specs for variant in _expand(spec))
    seen: set[Variant] = set()
    for variant in expanded:
        if variant in seen:
            raise ValueError(f"the variant {variant} is listed twice")
        seen.add(variant)
    return expanded


def _expand(spec: Mapping[str, object]) -> Iterator[Variant]:
    if not isinstance(spec, Mapping) or not isinstance(spec.get("name"), str):
        raise ValueError(f"a perturbation must be a mapping with a name, got {spec!r}")
    given = {key: value for key, value in spec.items() if key != "name"}
    for combination in product(*(_values(key, value) for key, value in given.items())):
        yield _variant(str(spec["name"]), dict(zip(given, combination, strict=True)))


def _values(key: str, value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        return (value,)
    if not value:
        raise ValueError(f"{key} is an empty list")
    return value


def _variant(name: str, given: dict[str, object]) -> Variant:
    perturbation = get(name)
    seed = perturbation.check_seed(given.pop("seed", 0))
    parameters = perturbation.complete(given)
    return Variant(
        perturbation=name,
        parameters=tuple(parameters.items()),
        seed=seed,
        family=perturbation.family_of(parameters),
        control=perturbation.control(parameters),
    )
