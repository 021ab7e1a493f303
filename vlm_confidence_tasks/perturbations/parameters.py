"""What a perturbation may be given: read from its signature, checked against it.

A keyword-only argument is a parameter. Its annotation says what is allowed:
`float`, `int`, `bool`, `str`, a `Literal` of the choices, or
`Annotated[float, Range(0, 1)]`.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from vlm_confidence_tasks.types import Scalar


@dataclass(frozen=True)
class Range:
    """The closed interval that a number must lie in."""

    low: float
    high: float

    def __str__(self) -> str:
        """Write the interval as error messages do.

        >>> str(Range(0, 1))
        '[0, 1]'
        """
        return f"[{self.low:g}, {self.high:g}]"


Severity = Annotated[int, Range(1, 5)]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a perturbation.

    Attributes:
        kind: `float`, `int`, `bool` or `str`.
        allowed: The range of a number, the choices of a `Literal`, or None.
        default: The value it has when it is not given; None if it must be given.
    """

    name: str
    kind: type
    allowed: Range | tuple[Scalar, ...] | None = None
    default: Scalar | None = None

    def __str__(self) -> str:
        """Describe what is allowed, as error messages do.

        >>> str(Parameter("epsilon", float, Range(0, 1)))
        'float in [0, 1]'
        >>> str(Parameter("fill", str, ("black", "white")))
        "one of 'black', 'white'"
        """
        if isinstance(self.allowed, tuple):
            return f"one of {', '.join(map(repr, self.allowed))}"
        return self.kind.__name__ + ("" if self.allowed is None else f" in {self.allowed}")

    def check(self, value: object) -> Scalar:
        """Return the value in the parameter's own type.

        An int is taken for a float, so that 0 and 0.0 are one variant; -0.0 becomes
        0.0 for the same reason. A bool is never taken for a number.

        >>> Parameter("epsilon", float, Range(0, 1)).check(0)
        0.0

        Raises:
            ValueError: The value has the wrong type, is not finite or not allowed.
        """
        converted = _convert(value, self.kind)
        if converted is None or not self._allows(converted):
            raise ValueError(f"{self.name} must be {self}, got {value!r}")
        return converted

    def _allows(self, value: Scalar) -> bool:
        if isinstance(self.allowed, Range):
            return not isinstance(value, str) and self.allowed.low <= value <= self.allowed.high
        return self.allowed is None or value in self.allowed


def read_parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """Read a function's keyword-only arguments, sorted by name.

    Raises:
        ValueError: An annotation is missing or says nothing that can be checked, or
            a default is not allowed by it.
    """
    hints = get_type_hints(function, include_extras=True)
    keywords = [
        argument
        for argument in inspect.signature(function).parameters.values()
        if argument.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    found = (_read(argument, hints.get(argument.name)) for argument in keywords)
    return tuple(sorted(found, key=lambda parameter: parameter.name))


def _read(argument: inspect.Parameter, hint: Any) -> Parameter:
    kind, allowed = _constraint(hint)
    if kind not in (float, int, bool, str):
        raise ValueError(
            f"parameter {argument.name} has an annotation that cannot be checked: {hint}"
        )
    parameter = Parameter(argument.name, kind, allowed)
    if argument.default is inspect.Parameter.empty:
        return parameter
    return Parameter(argument.name, kind, allowed, parameter.check(argument.default))


def _constraint(hint: Any) -> tuple[Any, Range | tuple[Scalar, ...] | None]:
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        return type(choices[0]), choices
    if get_origin(hint) is Annotated:
        kind, *notes = get_args(hint)
        return kind, next((note for note in notes if isinstance(note, Range)), None)
    return hint, None


def _convert(value: object, kind: type) -> Scalar | None:
    if kind is bool or isinstance(value, bool):
        return value if kind is bool and isinstance(value, bool) else None
    if kind is str:
        return value if isinstance(value, str) else None
    if kind is int:
        return int(value) if isinstance(value, Integral) else None
    if isinstance(value, Real) and math.isfinite(value):
        return float(value) + 0.0
    return None
