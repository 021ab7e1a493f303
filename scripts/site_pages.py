"""The site's pages, for MkDocs (`hooks` in mkdocs.yml).

They lie in the site as in the repository, so that a link from one to another works in both. Beside
them stands the reference, a page for each room of the package, made of its docstrings.
"""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

# What of the repository is in the site; README.md is its first page.
PATTERNS = ("*.md", "LICENSE", "docs/**/*", "notebooks/*.ipynb", "task_yamls/*/*.md")
PACKAGE = "vlm_confidence_tasks"
REFERENCE = "reference/{}.md"


def rooms(root: Path) -> list[str]:
    """Return the package's modules and packages with docstrings for readers."""
    modules = [path.stem for path in (root / PACKAGE).glob("[!_]*.py")]
    packages = [path.parent.name for path in (root / PACKAGE).glob("*/__init__.py")]
    return sorted(modules) + sorted(packages)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the reference behind all other pages."""
    found = rooms(Path(config.config_file_path).parent)
    config.nav = [*config.nav, {"Reference": [REFERENCE.format(room) for room in found]}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the repository's pages in place of those that MkDocs found in docs/ alone."""
    root = Path(config.config_file_path).parent
    others = [file for file in files if not (root / "docs" / file.src_uri).is_file()]
    found = sorted(path for pattern in PATTERNS for path in root.glob(pattern) if path.is_file())
    pages = [
        File.generated(config, path.relative_to(root).as_posix(), abs_src_path=str(path))
        for path in found
    ]
    reference = [
        File.generated(
            config, REFERENCE.format(room), content=f"# {room}\n\n::: {PACKAGE}.{room}\n"
        )
        for room in rooms(root)
    ]
    return Files([*others, *pages, *reference])
