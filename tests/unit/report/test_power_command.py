"""The command `power`: what a run's images can show, and how many an effect takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from scipy import stats

from report.synthetic import Answers, answers, noise, questions, write_run
from report.test_claims import asked, judged, of_claim
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.report.digits import images_told
from vlm_confidence_tasks.types import Sample

TASK = "pope_eps0.3"
IMAGES = 60
ASKED = questions(240, images=IMAGES)
HELD = answers(ASKED, [noise(0.3)], seed=1)
OTHER = answers(ASKED, [noise(0.3)], seed=2, skill=2.0)

Capture = pytest.CaptureFixture[str]


def written(folder: Path, held: Answers = HELD, name: str = "run") -> str:
    write_run(folder / name, {TASK: held})
    return str(folder / name)


def planned(capsys: Capture, *arguments: str) -> dict[str, dict[str, Any]]:
    cli.main(["power", *arguments, "--json", "--quiet"])
    record = json.loads(capsys.readouterr().out)
    assert (record["level"], record["power"]) == (0.95, 0.8)
    return {plan["metric"]: plan for plan in record["plans"]}


def shown(capsys: Capture, *arguments: str) -> str:
    cli.main(["power", *arguments, "--quiet"])
    return capsys.readouterr().out


def refused(capsys: Capture, *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main(["power", *arguments, "--quiet"])
    assert ended.value.code
    return f"{capsys.readouterr().err}{ended.value.code}"


def image_means(held: Answers, number: Any) -> np.ndarray:
    """The mean of a number over each image's documents, of which all have as many."""
    of_document = np.array([number(document) for _, document in held], dtype=float)
    return np.array([of_document[n::IMAGES].mean() for n in range(IMAGES)])


def right(document: Sample) -> float:
    return float(bool(document.variants[0].correct))


def gained(document: Sample) -> float:
    return right(document) - float(bool(document.clean.correct))


def entropy_change(document: Sample) -> float:
    return document.variants[0].entropy - document.clean.entropy


def test_errors_and_needed_images_are_those_worked_by_hand(tmp_path: Path, capsys: Capture) -> None:
    found = planned(capsys, written(tmp_path), "--effect", "0.02")
    clean = np.mean([document.clean.entropy for _, document in HELD])
    worked = {
        "accuracy": (right, 0.02),
        "accuracy - accuracy_clean": (gained, 0.02),
        "entropy_delta": (entropy_change, 0.02 * clean),
    }
    for name, (number, effect) in worked.items():
        plan, means = found[name], image_means(HELD, number)
        assert (plan["images"], plan["documents"], plan["why"]) == (IMAGES, 240, None)
        assert plan["value"] == pytest.approx(means.mean())
        assert plan["error"] == pytest.approx(stats.sem(means))
        assert plan["asked"] == pytest.approx(effect)
        independent = np.std([number(document) for _, document in HELD], ddof=1) / np.sqrt(240)
        assert plan["design_effect"] == pytest.approx((stats.sem(means) / independent) ** 2)
        # n = (z + z')^2 sd^2 / d^2, and some for what 60 images leave open.
        errors = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
        normal = (errors * means.std(ddof=1) / effect) ** 2
        assert normal < plan["images_needed"] < 1.2 * normal
        assert errors < plan["detectable"] / plan["error"] < 1.2 * errors
    assert not any(name.endswith("_clean") and " - " not in name for name in found)
    assert "ece" not in found


def test_the_screen_has_a_table_and_a_sentence_that_says_what_to_do(
    tmp_path: Path, capsys: Capture
) -> None:
    run = written(tmp_path)
    text, found = shown(capsys, run, "--effect", "0.02"), planned(capsys, run, "--effect", "0.02")
    lines = text.splitlines()
    assert lines[0] == f"{TASK}: 240 questions on 60 images"
    assert lines[1].endswith("takes (0.02)")
    needed = {name: plan["images_needed"] for name, plan in found.items()}
    for name, images in needed.items():
        assert re.search(rf"^{name}  .*  {told(images)} images$", text, re.M)
    scaled = {name for name in needed if name.startswith("entropy") and name[-4:] != "rate"}
    for names, what in (needed.keys() - scaled, "0.02"), (scaled, "0.02 of the clean entropy"):
        most = max(names, key=lambda name: needed[name])
        assert f"To show {what}, take {told(needed[most])} images: {most} needs the most." in lines
    assert "No plan by" not in text and "not measured" not in text
    assert len(lines) < 24
    assert "take up to 30 images (these are enough)" in shown(capsys, run, "--effect", "0.9")
    assert "take over 6,000 images: " in shown(capsys, run, "--effect", "1e-12")


def told(images: int) -> str:
    """How many images are told: in two digits, rounded up."""
    digits, power = f"{images:.1e}".split("e")
    tenth = 10 ** (int(power) - 1)
    return f"{int(np.ceil(images / tenth) * tenth):,}" if digits and tenth > 1 else f"{images:,}"


def test_chosen_metrics_alone_are_shown_and_what_is_no_mean_is_refused(
    tmp_path: Path, capsys: Capture
) -> None:
    run = written(tmp_path)
    found = planned(capsys, run, "--metrics", "accuracy_clean, right_to_wrong")
    assert list(found) == ["accuracy_clean", "right_to_wrong"]
    assert list(planned(capsys, run, "--metrics", "brier_top")) == [
        "brier_top",
        "brier_top - brier_top_clean",
    ]
    assert "no metric 'nothing' here" in refused(capsys, run, "--metrics", "nothing")
    assert "ece is no mean or rate" in refused(capsys, run, "--metrics", "ece")


def test_two_runs_are_paired(tmp_path: Path, capsys: Capture) -> None:
    runs = written(tmp_path), written(tmp_path, OTHER[20:] + OTHER[:20], "other")
    plan = planned(capsys, *runs)["accuracy, B - A"]
    moved = image_means(OTHER, right) - image_means(HELD, right)
    assert plan["value"] == pytest.approx(moved.mean())
    assert plan["error"] == pytest.approx(stats.sem(moved))
    assert plan["asked"] == 0.01


@pytest.mark.parametrize("effect", ["0", "-0.02", "nan", "inf", "2%", "1"])
def test_an_effect_that_is_no_number_over_0_is_refused(effect: str, capsys: Capture) -> None:
    said = refused(capsys, "results", "--effect", effect)
    assert f"argument --effect: must be a number over 0 and under 1, got '{effect}'" in said


def test_wrong_runs_are_said_in_a_line(tmp_path: Path, capsys: Capture) -> None:
    run, gone = written(tmp_path), str(tmp_path / "gone")
    assert f"{gone}: no such folder" in refused(capsys, gone)
    assert "3 runs: give one, or the two that are compared" in refused(capsys, run, run, run)
    write_run(tmp_path / "third", {"seed_eps0.3": HELD})
    said = refused(capsys, run, str(tmp_path / "third"))
    assert f"no task in common with {run}: seed_eps0.3 here" in said
    others = [(replace(one, question_id=f"new{n}"), held) for n, (one, held) in enumerate(HELD)]
    assert "no document in common" in refused(capsys, run, written(tmp_path, others, "others"))
    (samples,) = Path(run).rglob("*samples*")
    samples.unlink()
    said = refused(capsys, run)
    assert "samples" in said and said.count("\n") < 4


def test_where_nothing_can_be_planned_the_reason_stands(tmp_path: Path, capsys: Capture) -> None:
    few = written(tmp_path, HELD[:4], "few")
    assert {plan["why"] for plan in planned(capsys, few).values()} == {"too few images"}
    same = [
        (one, replace(held, clean=replace(held.clean, entropy=0.0), variants=held.variants))
        for one, held in HELD
    ]
    found = planned(capsys, written(tmp_path, same, "same"))
    assert found["entropy"]["why"] == "no clean value to take a share of"
    assert found["entropy"]["asked"] is None and found["entropy"]["detectable"] > 0
    lone = [
        (one, replace(held, variants=(replace(held.variants[0], entropy=9.0 * (n == 0)),)))
        for n, (one, held) in enumerate(HELD)
    ]
    run = written(tmp_path, lone, "lone")
    assert planned(capsys, run)["entropy"]["why"] == "one image decides"
    text = shown(capsys, run)
    assert re.search(r"^entropy .* -  one image decides$", text, re.M)
    said = r"^No plan by entropy\b.*: one image decides; run more images first\.$"
    assert re.search(said, text, re.M)
    text = shown(capsys, few)
    assert "Power was not measured for plans by under 30 images; these are 4." in text


def test_a_copy_gives_no_plan(tmp_path: Path, capsys: Capture) -> None:
    said = refused(capsys, written(tmp_path), written(tmp_path, name="again"))
    assert "same answers and numbers" in said and "(240 of 240 documents)" in said
    assert "there is no difference to plan by" in said


def test_every_undecided_part_of_a_claim_says_what_its_images_show(tmp_path: Path) -> None:
    asked(0.49, 0.5, 0.15)(tmp_path / "runs")
    record = judged(tmp_path)
    (part,) = of_claim(record, 8)[0]["parts"]
    assert part["finding"] == "undecided"
    width = (part["high"] - part["low"]) / 2
    # Another level than 95%: the half width, and the power's quantile of its errors.
    quantile = stats.norm.ppf((1 + part["level"]) / 2)
    expected = width * (1 + stats.norm.ppf(0.8) / quantile)
    assert part["detectable_effect"] == pytest.approx(expected, rel=0.1)
    needed = (part["detectable_effect"] / 0.01) ** 2 * part["images"]
    assert part["images_needed"] == pytest.approx(needed, rel=0.1)
    page = (tmp_path / "out" / "claims.md").read_text()
    assert (
        f"undecided: detectable {part['detectable_effect']:.3f}, "
        f"0.01 takes {images_told(part['images_needed'], part['images'])} images"
    ) in page
    decided = [part for said in record["verdicts"] for part in said["parts"]]
    assert all(
        (each["detectable_effect"] is None) == (each["finding"] != "undecided") for each in decided
    )
