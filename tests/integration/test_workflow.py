"""The public CI runs what the README says."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
(JOB,) = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
RUN = [step["run"] for step in JOB["steps"] if "run" in step]


def test_its_commands_are_the_readmes_two_and_what_takes_longer() -> None:
    block = re.search(r"## Two commands\n\n```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    shown = [line.partition("#")[0].strip() for line in block[1].splitlines()]
    run = [command for command in RUN if command.startswith("make")]
    assert sorted(run) == sorted([*shown, "make test-long"])


def test_it_takes_pythons_that_the_package_allows_and_the_readme_names() -> None:
    versions = JOB["strategy"]["matrix"]["python"]
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    allowed = SpecifierSet(setup["options"]["python_requires"])
    assert all(version in allowed for version in versions)
    assert (
        f"`.github/workflows/ci.yml` runs all on Python {' and '.join(versions)}"
        in (ROOT / "README.md").read_text()
    )


def test_it_installs_the_browser_of_the_local_check_and_caches_pip_by_the_constraints() -> None:
    wanted = re.findall(r"chromium(?:-driver)?\b", (ROOT / ".ci" / "run").read_text())
    (install,) = [command for command in RUN if "apt-get install" in command]
    assert set(re.findall(r"chromium(?:-driver)?\b", install)) == set(wanted) != set()
    (cache,) = [step["with"] for step in JOB["steps"] if "actions/cache" in step.get("uses", "")]
    assert "hashFiles('constraints.txt')" in cache["key"]
    assert cache["path"] == JOB["env"]["PIP_CACHE_DIR"]
