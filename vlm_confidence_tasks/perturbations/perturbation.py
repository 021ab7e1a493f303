"""The record of a perturbation: a function and what its signature says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product

from PIL import Image

from vlm_confidence_tasks.perturbations.needs import Need
from vlm_confidence_tasks.perturbations.parameters import Parameter
from vlm_confidence_tasks.types import Scalar

Function = Callable[..., Image.Image]


@dataclass(frozen=True)
class Perturbation:
    """A registered function and what its signature says.

    Attributes:
        family: The name under which flips are counted.
        parameters: Its parameters, sorted by name.
        strength: The parameter that is left out of the seed, so that a sweep over it
            uses one draw; None if there is none.
        needs: What the function takes besides, keys of `NEEDS`.
        controls: For a parameter, the values that make a control condition.
        in_pixels: Whether its strength is in pixels of the image that it is given.
    """

    name: str
    family: str
    function: Function
    parameters: tuple[Parameter, ...] = ()
    strength: str | None = None
    draws: bool = False
    needs: frozenset[Need] = frozenset()
    controls: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict, hash=False)
    in_pixels: bool = False

    def complete(self, given: Mapping[str, object]) -> dict[str, Scalar]:
        """Check the given values and fill in the defaults, sorted by name.

        >>> from vlm_confidence_tasks.perturbations import get
        >>> get("scale").complete({"factor": 1})
        {'factor': 1.0, 'restore': False}

        Raises:
            ValueError: A parameter is unknown, missing, or has a bad value.
        """
        known = [parameter.name for parameter in self.parameters]
        if unknown := sorted(set(given) - set(known)):
            raise ValueError(
                f"{self.name} has no parameter {unknown[0]!r} (given: {given[unknown[0]]!r}); "
                f"known parameters: {', '.join(known) or 'none'}"
            )
        return {parameter.name: self._value(parameter, given) for parameter in self.parameters}

    def check_seed(self, seed: object) -> int:
        """Return the seed if this perturbation can use it.

        Raises:
            ValueError: It is no integer of at least 0, or not 0 where nothing is drawn:
                such runs would be counted as independent, although they are the same.
        """
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ValueError(f"{self.name}: seed must be an int of at least 0, got {seed!r}")
        if seed and not self.draws:
            raise ValueError(f"{self.name} draws nothing: seed must be 0, got {seed}")
        return seed

    @property
    def families(self) -> tuple[str, ...]:
        """The names of all families, those of control conditions after `family` itself.

        >>> from vlm_confidence_tasks.perturbations import get
        >>> get("text_overlay").families
        ('textoverlay', 'textoverlay_random', 'textoverlay_empty')
        """
        choices = [(None, *values) for values in self.controls.values()]
        combinations = (
            dict(zip(self.controls, values, strict=True)) for values in product(*choices)
        )
        return tuple(self.family_of(values) for values in combinations)

    def control(self, parameters: Mapping[str, object]) -> bool:
        """Say whether these parameters make a control condition."""
        return bool(self._control_values(parameters))

    def family_of(self, parameters: Mapping[str, object]) -> str:
        """Name the family of these parameters: a control condition has its own.

        >>> from vlm_confidence_tasks.perturbations import get
        >>> get("text_overlay").family_of({"content": "empty"})
        'textoverlay_empty'
        """
        return "_".join([self.family, *map(str, self._control_values(parameters))])

    def _control_values(self, parameters: Mapping[str, object]) -> list[object]:
        given = [(parameters.get(name), values) for name, values in self.controls.items()]
        return [value for value, controls in given if value in controls]

    def _value(self, parameter: Parameter, given: Mapping[str, object]) -> Scalar:
        value = given.get(parameter.name, parameter.default)
        if value is None and parameter.name not in given:
            raise ValueError(f"{self.name} needs the parameter {parameter.name} ({parameter})")
        try:
            return parameter.check(value)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
