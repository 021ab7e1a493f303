"""Write the task files in `task_yamls/`: a row a benchmark or a family, a file a task.

    python scripts/generate_task_yamls.py            # write them
    python scripts/generate_task_yamls.py --check    # exit with 1 if they differ

Templates (`_pope_yaml` and so on) and READMEs are written by hand.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "task_yamls"

# prefix of the task names -> folder; the template is `_<prefix>_yaml` in it
PREFIXES = {
    "pope": "pope",
    "pope_adv": "pope",
    "pope_pop": "pope",
    "pope_random": "pope",
    "amber": "amber",
    "amber_existence": "amber",
    "amber_attribute": "amber",
    "amber_relation": "amber",
    "seed": "seed",
    "mmmu": "mmmu",
    "caption": "caption",
}

# Prefixes whose questions have no right answer: noise only.
UNANSWERED = ("caption",)

EPSILONS = (0.1, 0.2, 0.3, 0.5)
SHIFTS = "[-16, -12, -8, -4, 4, 8, 12, 16]"
SEVERITIES = "[1, 2, 3, 4, 5]"

# suffix of the task names -> an entry of the `perturbations` list
NOISE = {f"_eps{epsilon}": f"{{name: gaussian_noise, epsilon: {epsilon}}}" for epsilon in EPSILONS}
CORE = {
    "_translation": f"{{name: translate, dx: {SHIFTS}}}",
    "_padcrop": f"{{name: pad_crop, n: {SHIFTS}}}",
    "_scale": "{name: scale, factor: 0.9}",
    "_scalepad": "{name: scale_pad, factor: 0.9, fill: [black, white]}",
    "_rotation": "{name: rotate, degrees: [-30, 30]}",
    "_textoverlay": "{name: text_overlay, content: semantic, index: [0, 1, 2]}",
}
CONTROLS = {
    "_textoverlay_random": "{name: text_overlay, content: random, index: [0, 1, 2]}",
    "_textoverlay_empty": "{name: text_overlay, content: empty, index: [0, 1, 2]}",
}
NATURAL = {
    "_blur": f"{{name: gaussian_blur, severity: {SEVERITIES}}}",
    "_motionblur": f"{{name: motion_blur, severity: {SEVERITIES}}}",
    "_lowlight": f"{{name: low_light, severity: {SEVERITIES}}}",
    "_occlusion": f"{{name: occlusion, severity: {SEVERITIES}}}",
    "_jpeg": f"{{name: jpeg, severity: {SEVERITIES}}}",
}
CUTOFFS = "[0.05, 0.1, 0.2, 0.4]"
BANDS = "[low, mid, high]"
FREQUENCY = {
    "_lowpass": f"{{name: low_pass, cutoff: {CUTOFFS}, shape: [ideal, gaussian]}}",
    "_highpass": f"{{name: high_pass, cutoff: {CUTOFFS}, shape: [ideal, gaussian]}}",
    "_bandnoise": f"{{name: band_noise, epsilon: [0.02, 0.05, 0.1], band: {BANDS}}}",
    "_bandphase": f"{{name: band_phase, band: {BANDS}}}",
}
# Attacks at 2, 4, 8 and 25 of 255 grey levels, with both controls of the same size.
RADII = f"[{2 / 255}, {4 / 255}, {8 / 255}, 0.1]"
GOALS = ("flip", "sure", "unsure", "hidden")
ATTACKS = {
    f"_pgd_{goal}": f"{{name: pgd, goal: {goal}, epsilon: {RADII}, delta: [own, signs, other]}}"
    for goal in GOALS
}
ATTACKS["_pgd"] = (
    f"{{name: pgd, goal: [{', '.join(GOALS)}], epsilon: {RADII}, delta: [own, signs, other]}}"
)
# The attack of "Same Answer, Different Representations", and its noise at 1 to 16 of 255.
FIVE = ", ".join(str(k / 255) for k in (1, 2, 4, 8, 16))
HI = (
    "{name: pgd_hi, mode: [pixel, low, high]}",
    f"{{name: pgd_hi, mode: noise, epsilon: [{FIVE}]}}",
)
# Goals that are judged inside the model.
INSIDE = ("_pgd_hidden", "_pgd")

# Beside the letter: what is measured too, at all strengths of noise in one task.
EVERY_EPSILON = f"{{name: gaussian_noise, epsilon: [{', '.join(map(str, EPSILONS))}]}}"
STATED = {"_verbal3": "verbal: third", "_verbal1": "verbal: first"}
# Natural degradation to which calibrated certainty is to carry over.
CARRIED = {f"{suffix}_verbal3": NATURAL[suffix] for suffix in ("_blur", "_lowlight", "_occlusion")}
SCORED = {"_loglik": "loglik: true"}
MOVED = {"_drift": "representations: true"}

# Folders whose questions are for "yes" or "no".
YES_NO = ("pope", "amber")

# Noise on what a question names, on as much of the image away from it, and on all of it, with
# what the model says of its certainty.
CONFIDENCES = "[0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]"
OBJECT_NOISE = {
    f"_objectnoise{'' if where == 'object' else f'_{where}'}": (
        f"{{name: object_noise, confidence: {CONFIDENCES}, where: {where}}}"
    )
    for where in ("object", "outside", "global")
}
# Prefixes that name only what is not in the image.
ABSENT = ("amber_existence",)

# All six families and both controls in one task, so that unions exist, at the source's size.
INVARIANCE = (*CORE.values(), *CONTROLS.values())
MAX_SIDE = 1024


def task_files(prefix: str, folder: str) -> dict[Path, str]:
    """Return the files of all tasks of a prefix."""
    families = NOISE if prefix in UNANSWERED else NOISE | CORE | CONTROLS | NATURAL | FREQUENCY
    made = {
        f"{prefix}{suffix}": ["perturbations:", f"  - {entry}"]
        for suffix, entry in families.items()
    }
    if prefix not in UNANSWERED:
        entries = [f"  - {entry}" for entry in INVARIANCE]
        invariance = [f"max_side: {MAX_SIDE}", "perturbations:", *entries]
        made[f"{prefix}_invariance"] = [MOVED["_drift"], *invariance]
        made[f"{prefix}_invariance_loglik"] = [SCORED["_loglik"], *invariance]
        for suffix, key in (SCORED | (STATED if folder in YES_NO else {})).items():
            made[f"{prefix}{suffix}"] = [key, "perturbations:", f"  - {EVERY_EPSILON}"]
        for suffix, entry in CARRIED.items() if folder in YES_NO else ():
            made[f"{prefix}{suffix}"] = [STATED["_verbal3"], "perturbations:", f"  - {entry}"]
        for suffix, entry in ATTACKS.items():
            inside = [MOVED["_drift"]] if suffix in INSIDE else []
            made[f"{prefix}{suffix}"] = [*inside, "perturbations:", f"  - {entry}"]
        hi = [f"  - {entry}" for entry in HI]
        made[f"{prefix}_pgd_hi"] = [SCORED["_loglik"], "perturbations:", *hi]
    if folder in YES_NO and prefix not in ABSENT:
        for suffix, entry in OBJECT_NOISE.items():
            made[f"{prefix}{suffix}"] = [STATED["_verbal3"], "perturbations:", f"  - {entry}"]
    for suffix, key in MOVED.items():
        made[f"{prefix}{suffix}"] = [key, "perturbations:", f"  - {EVERY_EPSILON}"]
    return {
        ROOT / folder / f"{task}.yaml": "\n".join(
            [f"include: _{prefix}_yaml", f"task: {task}", *lines, ""]
        )
        for task, lines in made.items()
    }


def trap_files() -> dict[Path, str]:
    """Return the files of the tasks that do what the code of "The Confidence Trap" does."""
    made = {"caption_trap_clamponly": (0.0, "clamponly")}
    for epsilon in EPSILONS:
        made[f"caption_trap_eps{epsilon}"] = (epsilon, "source")
        for control in ("noclamp", "generated"):
            made[f"caption_trap_eps{epsilon}_{control}"] = (epsilon, control)
    return {
        ROOT / "caption" / f"{task}.yaml": "\n".join(
            [
                "include: _caption_trap_yaml",
                f"task: {task}",
                f"epsilon: {epsilon}",
                f"condition: {condition}",
                "",
            ]
        )
        for task, (epsilon, condition) in made.items()
    }


def group_files() -> dict[Path, str]:
    """Return the files of all groups: of a prefix, and over prefixes."""
    answered = [prefix for prefix in PREFIXES if prefix not in UNANSWERED]
    groups = {
        f"{folder}/{prefix}_eps": [f"{prefix}{suffix}" for suffix in NOISE]
        for prefix, folder in PREFIXES.items()
    }
    groups["groups/confidence_trap"] = [f"{prefix}_eps" for prefix in PREFIXES]
    groups["groups/hidden_instability"] = [f"{prefix}_invariance" for prefix in answered]
    return {
        ROOT / f"{path}.yaml": "\n".join(
            [f"group: {Path(path).name}", "task:", *(f"  - {task}" for task in tasks), ""]
        )
        for path, tasks in groups.items()
    }


def files() -> dict[Path, str]:
    """Return every generated file's path and text."""
    made = group_files() | trap_files()
    for prefix, folder in PREFIXES.items():
        made |= task_files(prefix, folder)
    return made


def main() -> None:
    """Write or check the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    check = parser.parse_args().check
    made = files()
    present = set(ROOT.rglob("*.yaml"))
    stale = [path for path, text in made.items() if path not in present or path.read_text() != text]
    left_over = sorted(present - set(made))
    if check:
        if stale or left_over:
            sys.exit(f"not as generated: {', '.join(map(str, [*stale, *left_over]))}")
        return
    for path in left_over:
        path.unlink()
    for path, text in made.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    print(f"{len(made)} files in {ROOT}")


if __name__ == "__main__":
    main()
