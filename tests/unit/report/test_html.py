"""The HTML pages: the leaderboard's numbers, escaped, and nothing from outside."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import force_setattr

from report.reading import assert_tables_are_on_their_pages, cells, cells_of_index, pages
from report.synthetic import Asked, answers, noise, write_run
from vlm_confidence_tasks import cli

EVIL = "<script>document.title = 'owned'</script><img src=x onerror=alert(1)>\"'{{ 7*7 }}"


def test_every_number_on_the_pages_is_the_leaderboards(written: Path, leaderboard: dict) -> None:
    shown = pages(written)
    assert cells(shown["index.html"]) == cells_of_index(leaderboard)
    assert_tables_are_on_their_pages(shown, leaderboard)


def test_every_number_on_a_models_page_is_the_leaderboards(
    written: Path, leaderboard: dict
) -> None:
    page = pages(written)["models/org_tiny_load_in_8bit_True.html"]
    name = "org/tiny (load_in_8bit=True)"
    cells = {float(cell["data-value"]) for cell in page.tags["td"] if "data-value" in cell}
    entries = [entry for entry in leaderboard["entries"] if entry["model"] == name]
    assert cells == {n["value"] for entry in entries for n in entry["metrics"].values()}
    shown = [float(span["data-value"]) for span in page.tags["span"] if "data-value" in span]
    expected = [
        flip[side][key]
        for flip in leaderboard["flips"][name]
        for side in ("clean", "perturbed")
        for key in ("confidence", "entropy")
        if flip[side][key] is not None
    ]
    assert shown == expected and len(expected) > 20


def test_floors_and_adjusted_p_values_are_on_the_pages(written: Path, leaderboard: dict) -> None:
    for name, beside in (("ece", r"\(floor [\d.]+\)"), ("entropy_delta_p", r"\(Holm [\d.]+\)")):
        text = (written / "tables" / f"{name}.html").read_text()
        found = re.findall(rf'<span class="beside">{beside}[ <]', text)
        assert len(found) == sum(name in entry["metrics"] for entry in leaderboard["entries"]) > 3
    entry = leaderboard["entries"][0]
    floor = f"(floor {entry['metrics']['ece_floor']['value']:.3f})"
    assert floor in (written / "tables" / "ece.html").read_text()


def test_pages_load_figures_that_are_there_and_nothing_else(written: Path) -> None:
    drawn = {file.name for file in (written / "figures").glob("*.svg")}
    loaded = set()
    for name, page in pages(written).items():
        for image in page.tags["img"]:
            up = "../" if "/" in name else ""
            assert image["loading"] == "lazy" and image["src"].startswith(f"{up}figures/"), name
            loaded.add(image["src"].rpartition("/")[2])
        for tag in (tag for tags in page.tags.values() for tag in tags):
            assert "src" not in tag or tag in page.tags["img"], name
        assert not page.tags["link"] and not page.tags["iframe"] and len(page.tags["script"]) == 1
        for link in page.tags["a"]:
            target = (written / name).parent / link["href"].partition("#")[0]
            assert link["href"].startswith("#") or target.resolve().is_relative_to(written), link
            assert target.exists(), link
        assert "http:" not in (written / name).read_text().replace("http-equiv", "")
        (policy,) = [t["content"] for t in page.tags["meta"] if "http-equiv" in t]
        assert policy.startswith("default-src 'none'; img-src 'self' data:;")
    assert loaded == drawn and len(drawn) > 20


def test_figures_have_a_text(written: Path) -> None:
    page = pages(written)["index.html"]
    assert len(page.tags["figure"]) >= 6
    assert all(image["alt"] for image in page.tags["img"])


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of a run in which every text is hostile."""
    folder = tmp_path_factory.mktemp("evil")
    asked = [Asked(f"{n}{EVIL}", f"i{n}", ("Yes", "No")[n % 2], text=EVIL) for n in range(30)]
    held = answers(asked, [noise(0.3)], skill=0)
    for _, document in held:
        for readout in (document.clean, *document.variants):
            force_setattr(readout, "text", EVIL)

    def hostile(record: dict) -> None:
        record["lmms_eval_version"] = EVIL
        record["configs"]["t"]["perturbations"] = [EVIL]

    write_run(folder / "runs", {"t": held}, args=f"pretrained={EVIL}", limit=3, change=hostile)
    options = ["--workers", "1", "--quiet"]
    cli.main(["leaderboard", str(folder / "runs"), "--output", str(folder / "out"), *options])
    return folder / "out"


def test_hostile_texts_are_shown_not_run(evil: Path) -> None:
    for name, page in pages(evil).items():
        text = (evil / name).read_text()
        assert len(page.tags["script"]) == 1, name
        assert not any("onerror" in tag for tags in page.tags.values() for tag in tags)
        assert "&lt;script&gt;" in text and "{{ 7*7 }}" in text
    assert "<script>" not in (evil / "leaderboard.md").read_text().replace("\\<", "")
