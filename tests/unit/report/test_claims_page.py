"""The page docs/studies/claims-sandbox.md, made of what the command `claims` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

import claims_table
from report.claimed import invariance, write, wrong
from report.test_claims import judged
from report.test_claims_command import noisy, steady_one

NAMES = ("pope", "amber", "seed", "mmmu")


def rows(page: str, heading: str) -> list[list[str]]:
    """Cells of the table below a heading, without its head."""
    table = page.partition(f"## {heading}\n\n")[2].partition("\n\n")[0]
    return [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]


def test_every_part_says_whose_it_is_and_what_lacks_is_listed(tmp_path: Path) -> None:
    write(tmp_path / "runs", {**noisy(), **steady_one()}, "org/a")
    write(tmp_path / "runs", {"pope_invariance": invariance({"rotation": 0.3})}, "org/b")
    page = claims_table.page(judged(tmp_path))
    parts = rows(page, "Parts")
    # Claim 1 has three parts, of the one model that ran; claim 4 has no numbers, of both.
    assert [row[1] for row in parts if row[0] == "1."] == ["org/a"] * 3
    assert {row[1] for row in parts if row[0] == "4."} == {"org/a", "org/b"}
    lacking = page.partition("## Not measured here\n\n")[2].splitlines()
    (first,) = [line for line in lacking if line.startswith("- 1. ")]
    assert ", org/b: no run of caption_eps0.3; no run of caption_eps0.5; " in first.replace(
        "\\", ""
    )
    assert [line for line in lacking if line.startswith("- 4. ") and ", org/a, org/b: " in line]
    assert [
        line for line in lacking if line.startswith("- 6. ") and ", a family of sizes: " in line
    ]


def test_as_many_parts_as_were_tested_are_shown(tmp_path: Path) -> None:
    pope, *others = {f"{name}_invariance": wrong(0.3, 0.1) for name in NAMES}.items()
    write(tmp_path / "runs", dict([pope, *others]), "org/a")
    write(tmp_path / "runs", {"pope_invariance": wrong(0.4, 0.1)}, "org/b")
    record = judged(tmp_path)
    parts = rows(claims_table.page(record), "Parts")
    # Claim 7 has a part for each benchmark; org/b ran one, which leaves it without a verdict.
    assert [row[1] for row in parts if row[0] == "7."] == ["org/a"] * 4 + ["org/b"]
    assert record["tests"] == sum(row[3].startswith("\\[") for row in parts)


@pytest.mark.parametrize(
    "text, says",
    [
        ("{", "no JSON"),
        ("[]", "not of this version; run vlm-confidence claims again"),
        ('{"format": 1}', "not of this version"),
    ],
)
def test_another_file_is_refused_in_a_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "claims.json").write_text(text)
    with pytest.raises(SystemExit, match=f"^{tmp_path}/claims.json: {says}[^\n]*$"):
        claims_table.main([str(tmp_path), "--page", str(tmp_path / "page.md")])
    assert not (tmp_path / "page.md").exists()
