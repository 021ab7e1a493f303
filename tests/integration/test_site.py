"""The docs as a site: it builds without a warning, whole, and loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "vlm_confidence_tasks"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site; a link or an anchor that leads nowhere, or a page that no menu has, is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_it_begins_with_the_readme_and_holds_every_page(site: Path) -> None:
    assert "asks what a\nvision-language model's confidence is worth" in _text(site / "index.html")
    pages = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("task_yamls/*/*.md"), *ROOT.glob("C*.md")]
    assert len(pages) > 15
    for page in pages:
        name = page.relative_to(ROOT).with_suffix("")
        place = name.parent if name.name == "README" else name
        assert (site / place / "index.html").is_file(), place


def test_the_reference_holds_every_public_function_of_the_package(site: Path) -> None:
    rooms = {path.stem for path in PACKAGE.glob("[!_]*.py")}
    rooms |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert {"metrics", "types", "harness"} <= rooms
    for room in rooms:
        page = _text(site / "reference" / room / "index.html")
        place = PACKAGE / room
        for file in place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]:
            for name in re.findall(r"^(?:def|class) ([A-Za-z]\w*)", file.read_text(), re.M):
                module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
                wanted = f'id="{module.removesuffix(".__init__")}.{name}"'
                assert wanted in page, wanted


def test_examples_of_docstrings_are_code(site: Path) -> None:
    page = _text(site / "reference" / "metrics" / "index.html")
    assert page.count('<span class="gp">&gt;&gt;&gt; </span>') > 50
    assert "<blockquote>" not in page


def test_it_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        loaded = re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", _text(page))
        assert not re.search(r"(?:src|href)=\W?(?:https?:)?//", " ".join(loaded)), page
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\W*(?:https?:)?//", _text(style)), style


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")
