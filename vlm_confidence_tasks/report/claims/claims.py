"""The nine claims, and the test of each, fixed in advance: docs/claims.md says why."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from vlm_confidence_tasks.report.claims import effects
from vlm_confidence_tasks.report.claims.effects import EffectOf

ALPHA = 0.05
# The smallest effects that matter; of entropies as a share of the clean one, whose scale is the
# model's own.
SHARE, AUROC, RATIO = 0.01, 0.45, 0.5
FEWEST_SIZES = 3

# What a claim is about.
Of = Literal["model", "family", "pair"]


@dataclass(frozen=True)
class Part:
    """One test.

    Attributes:
        tasks: The tasks whose samples it needs, in the order in which `effect` takes them.
        bound: The smallest effect that matters.
        below: Whether the claim is that the number is under it; else it is over it.
        none: The number without any effect.
    """

    name: str
    tasks: tuple[str, ...]
    effect: EffectOf
    bound: float
    below: bool
    none: float = 0.0


@dataclass(frozen=True)
class Claim:
    """A claim of the sources; it holds if all of its parts do.

    Attributes:
        of: Whether of a model, of the sizes of a family, or of a model before and after training.
    """

    number: int
    title: str
    source: str
    refuted_by: str
    of: Of
    parts: tuple[Part, ...]


TRAP, HIDDEN, CSP = "The Confidence Trap", "Same Answer, Different Representations", "CSP"
EPSILONS = (0.1, 0.2, 0.3, 0.5)
STRONG = EPSILONS[2:]
OTHERS = ("translation", "padcrop", "scale", "scalepad", "rotation")


def _noise(epsilon: float) -> str:
    return f"caption_eps{epsilon}"


def _flips(family: str, other: str) -> Part:
    effect = partial(effects.flips_over, family, other)
    return Part(f"ifr_{family} - ifr_{other}", ("pope_invariance",), effect, SHARE, below=False)


def _falls(name: str, tasks: tuple[str, ...], effect: EffectOf) -> Part:
    return Part(name, tasks, effect, -SHARE, below=True)


def _stated_error(task: str) -> Part:
    return _falls(f"verbal_ece of {task}", (task,), effects.stated_error_change)


CLAIMS = (
    Claim(
        1,
        "Entropy falls as noise grows",
        TRAP,
        f"entropy at 0.3 or 0.5, or its trend, falls by less than {SHARE} of the clean, or rises",
        "model",
        (
            *(
                _falls(f"H(noisy) / H(clean) - 1 at {e}", (_noise(e),), effects.entropy_change)
                for e in STRONG
            ),
            _falls(
                "trend over epsilon, from 0.1 to 0.5, over H(clean)",
                tuple(map(_noise, EPSILONS)),
                partial(effects.entropy_trend, EPSILONS),
            ),
        ),
    ),
    Claim(
        2,
        "Entropy falls from the source's clamp alone",
        f"audit of {TRAP}'s code",
        f"without noise, entropy falls by less than {SHARE} of the clean, or rises",
        "model",
        (
            _falls(
                "H(clamped) / H(clean) - 1",
                ("caption_trap_clamponly",),
                effects.entropy_change,
            ),
        ),
    ),
    Claim(
        3,
        "The entropy threshold inverts",
        TRAP,
        f"AUROC of entropy for perturbed against clean is above {AUROC} at 0.3 or 0.5",
        "model",
        tuple(
            Part(
                f"defense_auroc at {epsilon}",
                (_noise(epsilon),),
                effects.entropy_auroc,
                AUROC,
                below=True,
                none=0.5,
            )
            for epsilon in STRONG
        ),
    ),
    Claim(
        4,
        "Text overlays flip most: semantic above random above empty",
        HIDDEN,
        f"another family flips as often, or the order fails, within {SHARE}",
        "model",
        (
            *(_flips("textoverlay", other) for other in OTHERS),
            _flips("textoverlay", "textoverlay_random"),
            _flips("textoverlay_random", "textoverlay_empty"),
        ),
    ),
    Claim(
        5,
        "Answers that stay hide drift comparable to another image's",
        HIDDEN,
        f"where answers stay, drift is under {RATIO} of the drift between images",
        "model",
        (
            Part(
                "drift_unflipped_context / control",
                ("pope_invariance",),
                partial(effects.hidden_drift, "context"),
                RATIO,
                below=False,
            ),
        ),
    ),
    Claim(
        6,
        "Larger models are not steadier",
        HIDDEN,
        f"a doubling of parameters lowers the flip rate by more than {SHARE}",
        "family",
        (
            Part(
                "change of ifr a doubling of parameters",
                ("pope_invariance",),
                effects.flips_by_size,
                -SHARE,
                below=False,
            ),
        ),
    ),
    Claim(
        7,
        "Perturbation lowers false positives on hallucination benchmarks and harms reasoning",
        HIDDEN,
        f"false positives, or accuracy in reasoning, fall by less than {SHARE}, or rise",
        "model",
        (
            *(
                _falls(
                    f"false positives of {benchmark}, perturbed - clean",
                    (f"{benchmark}_invariance",),
                    effects.false_positives,
                )
                for benchmark in ("pope", "amber")
            ),
            *(
                _falls(
                    f"accuracy of {benchmark}, perturbed - clean",
                    (f"{benchmark}_invariance",),
                    effects.accuracy_change,
                )
                for benchmark in ("seed", "mmmu")
            ),
        ),
    ),
    Claim(
        8,
        "Third-person questions give less inflated certainty than first-person ones",
        CSP,
        f"stated certainty less correctness is lower by less than {SHARE}, or higher",
        "model",
        (
            _falls(
                "stated certainty - correctness, third - first person",
                ("pope_verbal3", "pope_verbal1"),
                effects.inflation_change,
            ),
        ),
    ),
    Claim(
        9,
        "CSP lowers the calibration error of stated confidence without loss of accuracy, "
        "on natural degradation too",
        CSP,
        f"an error falls by less than {SHARE}, or accuracy falls by more",
        "pair",
        (
            _stated_error("pope_verbal3"),
            Part("accuracy", ("pope_verbal3",), effects.accuracy_between, -SHARE, below=False),
            _stated_error("pope_blur_verbal3"),
            _stated_error("pope_lowlight_verbal3"),
        ),
    ),
)
