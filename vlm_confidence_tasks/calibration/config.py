"""How data are made and a model is trained: YAML, checked when it is read."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.types import Share

# Key of a file that is this one's beginning, whose values it may replace.
INCLUDE = "include"

Count = Annotated[int, msgspec.Meta(ge=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class DataConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How examples are made.

    Attributes:
        person: Grammatical person of the question, a key of `benchmarks.PROMPTS`.
        confidences: Confidence that the noise leaves, and that the model is to state.
        copies: With how many of these each question is shown, drawn by its image; None: all.
        where: "object": noise on the things that the question names. "global": everywhere.
        gamma: See `perturbations.object_noise`, as for `t_max` and `schedule`.
        on_missing: What becomes of a question none of whose things is found: "skip" leaves it
            out, "global" puts the noise everywhere.
        shuffled: State the confidence of another draw: a control that cannot be learned from
            the image.
        held_out: Share of the images that are kept from training.
        seed: Of all draws.
    """

    person: Literal["third", "first"] = "third"
    confidences: Annotated[tuple[Share, ...], msgspec.Meta(min_length=1)] = (
        *(1.0, 0.9, 0.8, 0.7, 0.6),
        *(0.5, 0.4, 0.3, 0.2, 0.1),
    )
    copies: Count | None = None
    where: Literal["object", "global"] = "object"
    gamma: Share = 0.005
    t_max: Count = 1000
    schedule: Literal["constant", "vcd"] = "constant"
    on_missing: Literal["skip", "global"] = "skip"
    shuffled: bool = False
    held_out: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.2
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0


class StageConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One stage of training.

    Attributes:
        epochs: How often each example is seen.
        steps: Number of steps instead, if given.
        batch_size: Examples (in SimPO: pairs) in a pass.
        accumulation: Passes in a step.
        learning_rate: Peak; it rises over `warmup` of the steps and falls as a cosine.
        warmup: Share of the steps.
        save_steps: Steps between checkpoints.
    """

    epochs: Positive = 1.0
    steps: Count | None = None
    batch_size: Count = 8
    accumulation: Count = 1
    learning_rate: Positive
    warmup: Share = 0.05
    save_steps: Count = 200


class SimPOConfig(StageConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The stage on preferences: see `simpo.simpo_loss` for `beta` and `margin`."""

    beta: Positive = 2.0
    margin: Annotated[float, msgspec.Meta(ge=0)] = 1.0


class LoraConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685).

    Attributes:
        rank: Of the product that is added to a matrix.
        alpha: Times alpha / rank it is added.
        dropout: On its input.
        modules: Regular expression for whole names of linear modules.
    """

    rank: Count = 16
    alpha: Count = 32
    dropout: Share = 0.0
    modules: str = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"


class TrainConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a model is trained: supervised, then on preferences; a stage may be None.

    Attributes:
        sft: Supervised fine-tuning on question and confidence.
        simpo: Preference of the confidence over its opposite.
        lora: Adapters; None: all weights are trained.
        dtype: Of the weights that are loaded: of the checkpoint ("auto"), or named.
        gradient_checkpointing: Compute activations twice, and keep few.
        seed: Of the order of examples, and of adapters.
    """

    sft: StageConfig | None
    simpo: SimPOConfig | None
    lora: LoraConfig | None = None
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    gradient_checkpointing: bool = False
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    train: TrainConfig
    data: DataConfig = DataConfig()


def names() -> list[str]:
    """Return the names of the packaged configurations.

    >>> names()[:2]
    ['csp', 'first_person']
    """
    return sorted(Path(file.name).stem for file in _folder().iterdir() if _is_yaml(file.name))


def read_config(source: str) -> Config:
    """Read a packaged configuration by its name (`names`), or a YAML file.

    The key `include` names another one, whose values it replaces.

    >>> read_config("sft_only").train.simpo is None
    True

    Raises:
        TaskError: There is none, or it cannot be used.
    """
    try:
        return msgspec.convert(_merged(source), Config, strict=False)
    except msgspec.ValidationError as error:
        raise TaskError(f"configuration {source}: {error}") from error


def to_mapping(config: Config) -> dict[str, Any]:
    """Return a configuration as JSON types."""
    made: dict[str, Any] = msgspec.to_builtins(config)
    return made


def _folder() -> Any:
    return resources.files("vlm_confidence_tasks.calibration") / "configs"


def _is_yaml(name: str) -> bool:
    return name.endswith(".yaml")


def _merged(source: str, within: tuple[str, ...] = ()) -> Mapping[str, Any]:
    if source in within:
        raise TaskError(f"configuration {source} includes itself, by way of {within[-1]}")
    own = dict(_mapping(source))
    if INCLUDE not in own:
        return own
    return _replaced(_merged(str(own.pop(INCLUDE)), (*within, source)), own)


def _mapping(source: str) -> Mapping[str, Any]:
    file = Path(source) if _is_yaml(source) else _folder() / f"{source}.yaml"
    try:
        found = yaml.safe_load(file.read_text())
    except FileNotFoundError as error:
        raise TaskError(
            f"no configuration {source}: name one of {', '.join(names())}, or a .yaml file"
        ) from error
    except (OSError, yaml.YAMLError) as error:
        line = " ".join(str(error).split())
        raise TaskError(f"configuration {source}: cannot be read: {line}") from error
    if not isinstance(found, Mapping):
        raise TaskError(f"configuration {source}: expected keys and values")
    return found


def _replaced(before: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with the values of another in place of its own, level by level."""
    merged = dict(before)
    for key, value in own.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _replaced(merged[key], value) if both else value
    return merged
