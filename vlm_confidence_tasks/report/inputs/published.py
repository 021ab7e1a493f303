"""Reading published numbers: a YAML file, checked entry by entry."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta

from vlm_confidence_tasks.report.inputs.model_names import NAMED_BY, Model
from vlm_confidence_tasks.report.inputs.problems import ReportError

# What ships with the package; its head says what each key means.
PUBLISHED = Path(str(resources.files("vlm_confidence_tasks.report"))) / "published.yaml"

Text = Annotated[str, Meta(min_length=1)]
Percent = Annotated[str, Meta(pattern=r"^(\d{1,2}(\.\d{1,4})?|100(\.0{1,4})?)$")]
Prefix = Literal[
    "pope",
    "pope_adv",
    "pope_pop",
    "pope_random",
    "seed",
    "mmmu",
    "amber",
    "amber_existence",
    "amber_attribute",
    "amber_relation",
]
Accuracy = Literal["accuracy_clean", "accuracy_upstream_clean"]
CleanMetric = Accuracy | Literal["precision_clean", "recall_clean", "f1_clean", "yes_ratio_clean"]


class PublishedNumber(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One number that was published, as `published.yaml` says.

    Attributes:
        value: In percent, as printed: its last digit says how it was rounded.
        n: How many questions it is over; None: the source does not say.
        prompt: What the prompt ends with; None: the source does not say.
        read: Where it was read.
        differs: What keeps it from being compared; "" for nothing.
    """

    model: Text
    task: Prefix
    metric: CleanMetric
    value: Percent
    n: Annotated[int, Meta(ge=1)] | None
    prompt: Text | None
    source: Text
    read: Text
    differs: str = ""
    note: str = ""

    @property
    def share(self) -> float:
        """The number as a share."""
        return float(self.value) / 100

    @property
    def rounding(self) -> float:
        """By how much, as a share, rounding may have moved it: half of the last digit's unit."""
        return 0.5 * 10.0 ** -(len(self.value.partition(".")[2]) + 2)


@dataclass(frozen=True)
class Published:
    """Published numbers, and how their models are spelled.

    Attributes:
        models: Each model's spellings, in lower case.
    """

    models: Mapping[str, Sequence[str]]
    numbers: Sequence[PublishedNumber]

    def of(self, model: Model) -> list[PublishedNumber]:
        """Return the numbers of a model, none where it is not among them."""
        key = next((key for key, all_ in self.models.items() if _spelled(model, all_)), None)
        return [number for number in self.numbers if number.model == key]


def _spelled(model: Model, spellings: Iterable[str]) -> bool:
    """Whether a model is one of some spellings; a folder on disk counts by its last part."""
    args = dict(model.args)
    name = next((args[key] for key in NAMED_BY if args.get(key)), f"--model {model.adapter}")
    name = name.lower().rstrip("/\\")
    if re.fullmatch(r"[^/\\.~][^/\\]*/[^/\\]+", name):
        return name in spellings
    return re.split(r"[/\\]", name)[-1] in {spelling.rpartition("/")[2] for spelling in spellings}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of published numbers; `sources` is for its own `<<` alone."""

    models: dict[Text, Annotated[list[Text], Meta(min_length=1)]]
    numbers: Annotated[list[dict[str, Any]], Meta(min_length=1)]
    sources: Any = None


def read_published(path: Path = PUBLISHED) -> Published:
    """Read a file of published numbers.

    Raises:
        ReportError: It cannot be read or is of another form; names the entry, counted from 1.
    """
    try:
        file = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), _File)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ReportError(f"{path}: no file of published numbers: {error}") from error
    models = {key: [name.lower() for name in names] for key, names in file.models.items()}
    _check_spellings(path, models)
    numbers: dict[tuple[str, ...], PublishedNumber] = {}
    for place, entry in enumerate(file.numbers, 1):
        number = _number(f"{path}, number {place}", entry, models)
        identity = (number.model, number.task, number.metric, number.source)
        if identity in numbers:
            raise ReportError(f"{path}, number {place}: {', '.join(identity)} is there twice")
        numbers[identity] = number
    return Published(models, list(numbers.values()))


def _check_spellings(path: Path, models: Mapping[str, Sequence[str]]) -> None:
    of: dict[str, str] = {}
    for key, names in models.items():
        for name in names:
            if of.setdefault(name, key) != key:
                raise ReportError(f"{path}: {name} is both {of[name]} and {key}")


def _number(where: str, entry: Mapping[str, Any], models: Mapping[str, Any]) -> PublishedNumber:
    try:
        number = msgspec.convert(entry, PublishedNumber)
    except msgspec.ValidationError as error:
        raise ReportError(f"{where}: {error}") from error
    if number.model not in models:
        raise ReportError(f"{where}: model {number.model} has no spellings in `models`")
    return number
