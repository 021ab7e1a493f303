"""Write the task files in `task_yamls/`: a row a task family, a file a task.

    python scripts/generate_task_yamls.py            # write them
    python scripts/generate_task_yamls.py --check    # exit with 1 if they differ

Templates (`_pope_yaml` and so on) and READMEs are written by hand.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "task_yamls"

# prefix of the task names -> (folder, template)
PREFIXES = {
    "pope": ("pope", "_pope_yaml"),
    "pope_adv": ("pope", "_pope_adv_yaml"),
    "pope_pop": ("pope", "_pope_pop_yaml"),
    "pope_random": ("pope", "_pope_random_yaml"),
    "caption": ("caption", "_caption_yaml"),
}

EPSILONS = (0.1, 0.2, 0.3, 0.5)

# suffix of the task names -> lines of the `perturbations` list
SUFFIXES = {
    f"_eps{epsilon}": [f"{{name: gaussian_noise, epsilon: {epsilon}}}"] for epsilon in EPSILONS
}

# group -> (folder, tasks)
GROUPS = {
    **{
        f"{prefix}_eps": (folder, [f"{prefix}_eps{epsilon}" for epsilon in EPSILONS])
        for prefix, (folder, _) in PREFIXES.items()
    },
}


def files() -> dict[Path, str]:
    """Return every generated file's path and text."""
    made = {}
    for prefix, (folder, template) in PREFIXES.items():
        for suffix, perturbations in SUFFIXES.items():
            made[ROOT / folder / f"{prefix}{suffix}.yaml"] = "\n".join(
                [
                    f"include: {template}",
                    f"task: {prefix}{suffix}",
                    "perturbations:",
                    *(f"  - {line}" for line in perturbations),
                    "",
                ]
            )
    for group, (folder, tasks) in GROUPS.items():
        listed = "".join(f"  - {task}\n" for task in tasks)
        made[ROOT / folder / f"{group}.yaml"] = f"group: {group}\ntask:\n{listed}"
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
        path.write_text(text)
    print(f"{len(made)} files in {ROOT}")


if __name__ == "__main__":
    main()
