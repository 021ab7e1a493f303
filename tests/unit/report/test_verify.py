"""Clean numbers held against published ones."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from msgspec.structs import replace

from report.synthetic import Answers, Asked, answers, noise, write_run
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.benchmarks.choices import ASK_FOR_LETTER
from vlm_confidence_tasks.metrics import metrics_for, rate_interval
from vlm_confidence_tasks.report.inputs.model_names import Model
from vlm_confidence_tasks.report.inputs.problems import Problems, ReportError
from vlm_confidence_tasks.report.inputs.published import (
    CleanMetric,
    Prefix,
    read_published,
)
from vlm_confidence_tasks.report.verify import (
    Comparison,
    Verification,
    Verified,
    to_text,
    verify_runs,
)

ROOT = Path(__file__).parents[3]
WORD = "Answer the question using a single word or phrase."
TASK = "pope_eps0.3"
ASKED = [
    Asked(str(n), f"image{n % 30}", ("Yes", "No")[n % 2], text=f"Is thing {n} there?\n{WORD}")
    for n in range(240)
]
GOOD = answers(ASKED, [noise(0.3)], seed=2, skill=2.0)
RIGHT = [float(document.clean.correct) for _, document in GOOD]
OURS = rate_interval(RIGHT, [1] * 240, [document.image_id for _, document in GOOD])
ENTRY = {
    "model": "m",
    "task": "pope",
    "metric": "accuracy_clean",
    "value": f"{100 * OURS.estimate:.1f}",
    "n": 240,
    "prompt": WORD,
    "source": "a paper, table 1",
    "read": "https://example.org/paper",
}
Change = Callable[[dict[str, Any]], None]


def numbers_file(folder: Path, *changes: dict[str, Any]) -> Path:
    file = folder / "numbers.yaml"
    entries = [{**ENTRY, "source": f"source {n}", **change} for n, change in enumerate(changes)]
    models = {"m": ["Org/Model", "--model mine"]}
    file.write_text(yaml.safe_dump({"models": models, "numbers": entries}))
    return file


def verified(folder: Path, *changes: dict[str, Any], task: str = TASK, **run: Any) -> Verification:
    """One run of good answers, held against entries; nothing is a problem."""
    write_run(folder / "run", {task: GOOD}, **run)
    problems = Problems()
    found = verify_runs([folder / "run"], read_published(numbers_file(folder, *changes)), problems)
    assert problems.lines == []
    return found


def test_the_interval_is_the_runs_with_the_published_numbers_own_error(tmp_path: Path) -> None:
    (one,) = verified(tmp_path, {}, {"n": None}, {"metric": "f1_clean"}).verified
    with_n, without, f1 = one.comparisons
    assert (one.documents, one.task, one.model) == (240, TASK, "org/model")
    share = float(ENTRY["value"]) / 100
    error = 1.959964 * math.sqrt(share * (1 - share) / 240)
    for row, joined in ((with_n, error), (without, 0.0)):
        below, above = OURS.estimate - OURS.low, OURS.high - OURS.estimate
        ends = (-math.hypot(below, joined) - 0.0005, math.hypot(above, joined) + 0.0005)
        assert (row.low, row.high) == pytest.approx([OURS.estimate + end for end in ends], abs=1e-6)
        assert (row.verdict, row.outside_by, row.why) == ("inside", 0, "")
    # No accuracy: rounding alone, though n is known.
    interval = metrics_for(())["f1_clean"]
    assert interval.statistic.estimates and f1.here is not None and f1.low < f1.here < f1.high


@pytest.mark.parametrize("value", ["50.0", "99.99", "0"])
def test_outside_by_how_much_and_what_usually_causes_it(tmp_path: Path, value: str) -> None:
    found = verified(tmp_path, {"value": value, "n": None}, {"value": value, "prompt": None})
    (one,) = found.verified
    row, unsaid = one.comparisons
    share, rounding = float(value) / 100, 0.5 * 10.0 ** -(len(value.partition(".")[2]) + 2)
    beyond = OURS.low - rounding - share if share < OURS.low else OURS.high + rounding - share
    assert row.verdict == unsaid.verdict == "outside"
    assert row.outside_by == pytest.approx(beyond) and (share < OURS.low) == (row.outside_by > 0)
    invalid = sum(document.clean.answer is None for _, document in GOOD) / 240
    assert one.telling == {"invalid_rate_clean": pytest.approx(invalid), "answer_mass_clean": 0.9}
    assert f"invalid_rate_clean {invalid:.4f} (high " in one.cause
    assert "answer_mass_clean 0.9000 (low " in one.cause
    assert one.cause in to_text(found).splitlines()
    # Of a source that does not say its prompt nobody knows whether it shares the setting.
    assert verified(tmp_path, {"value": value, "prompt": None}).verified[0].cause == ""


def config_with(**values: Any) -> Change:
    return lambda record: record["configs"][TASK].update(values)


@pytest.mark.parametrize(
    ("entry", "run", "why"),
    [
        ({"differs": "other protocol: by hand"}, {}, "other protocol: by hand"),
        ({"prompt": "Yes or no?"}, {}, "other prompt: ends with 'Yes or no?' there, not here"),
        ({"n": 9000}, {}, "subset: 9,000 questions there, 240 here"),
        ({}, {"limit": 8}, "subset: --limit 8 here"),
        (
            {},
            {"args": "pretrained=org/model,load_in_4bit=True"},
            "another model: load_in_4bit=True here",
        ),
        ({}, {"change": config_with(max_side=64)}, "other images: of at most 64 px here"),
        (
            {},
            {"change": config_with(data={"source": "sandbox", "documents": 240})},
            "other data: the embedded ones here",
        ),
        ({"metric": "accuracy_upstream_clean", "n": 9000, "differs": "x"}, {}, "x; subset: 9,000 "),
    ],
)
def test_not_comparable_and_why(
    tmp_path: Path, entry: dict[str, Any], run: dict[str, Any], why: str
) -> None:
    found = verified(tmp_path, {"value": "1.0", **entry}, **run)
    (row,) = found.verified[0].comparisons
    assert row.verdict == "not comparable" and row.why.startswith(why)
    assert (row.low, row.high, row.outside_by) == (None, None, None) and row.here > 0.5
    assert found.verified[0].cause == "" and why in to_text(found)


def test_what_does_not_make_a_run_another(tmp_path: Path) -> None:
    """Almost as many questions, an adapter's default, weights that are not quantized."""
    for n, run in enumerate(
        ({}, {"model": "mine", "args": ""}, {"args": "pretrained=org/model,load_in_8bit=False"})
    ):
        (one,) = verified(tmp_path / str(n), {"n": 232}, **run).verified
        assert one.comparisons[0].verdict == "inside"


@pytest.mark.parametrize(("ending", "verdict"), [(150, "inside"), (90, "not comparable")])
def test_most_prompts_decide(tmp_path: Path, ending: int, verdict: str) -> None:
    """Of MMMU some questions are open, and end otherwise."""
    held = [
        (asked if n < ending else replace(asked, text="How many?"), document)
        for n, (asked, document) in enumerate(GOOD)
    ]
    write_run(tmp_path / "run", {TASK: held})
    published = read_published(numbers_file(tmp_path, {}))
    (one,) = verify_runs([tmp_path / "run"], published, Problems()).verified
    assert one.comparisons[0].verdict == verdict


def test_numbers_that_a_run_does_not_have_are_absent(tmp_path: Path) -> None:
    few: Answers = answers(ASKED[:2], [noise(0.3)], seed=2)
    write_run(tmp_path, {"amber_blur": few})
    published = read_published(numbers_file(tmp_path, {"task": "amber", "n": 2}))
    (one,) = verify_runs([tmp_path], published, Problems()).verified
    row = one.comparisons[0]
    assert (row.verdict, row.why) == ("not comparable", "too few images here for an interval")


def test_one_task_of_a_prefix_is_taken_that_of_all_documents(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {"pope_blur": GOOD[:50]}, limit=50)
    write_run(tmp_path / "b", {"pope_jpeg": GOOD, "pope_scale": GOOD, "pope_adv_blur": GOOD})
    published = read_published(numbers_file(tmp_path, {}, {"task": "pope_adv"}))
    found = verify_runs([tmp_path], published, Problems())
    assert {one.task: len(one.comparisons) for one in found.verified} == {
        "pope_jpeg": 1,
        "pope_adv_blur": 1,
    }


def test_what_nothing_is_published_about_is_said(tmp_path: Path) -> None:
    """The embedded model, and a task of a known one."""
    write_run(tmp_path, {TASK: GOOD}, model="tiny_llava", args="")
    write_run(tmp_path, {"caption_eps0.3": GOOD}, args="pretrained=llava-hf/llava-1.5-7b-hf")
    found = verify_runs([tmp_path], read_published(), Problems())
    assert found.verified == [] and sorted(found.notes) == [
        "llava-hf/llava-1.5-7b-hf, caption_eps0.3: nothing published of caption_eps0.3 here",
        "tiny_llava, pope_eps0.3: nothing published of this model here",
    ]
    assert to_text(found).splitlines() == list(found.notes)


@pytest.mark.parametrize(
    ("adapter", "args", "model"),
    [
        ("llava", "", "llava-1.5-7b"),
        ("llava_hf", "pretrained=LLaVA-HF/llava-1.5-7B-hf", "llava-1.5-7b"),
        ("llava", "pretrained=/data/llava-1.5-7b-hf/", "llava-1.5-7b"),
        ("openai", "model_version=Qwen/Qwen2-VL-7B-Instruct", "qwen2-vl-7b"),
        ("llava", "pretrained=llava-hf/llava-1.5-13b-hf,load_in_4bit=True", "llava-1.5-13b"),
        ("llava", "pretrained=somebody/llava-1.5-7b-hf", None),
        ("llava", "pretrained=/data/llava-1.5-7b", None),
        ("hf_multimodal", "pretrained=llava-hf/llava-1.5-7b-hf-tuned", None),
        ("tiny_llava", "", None),
    ],
)
def test_models_match_by_their_spellings_exactly(
    adapter: str, args: str, model: str | None
) -> None:
    found = {number.model for number in read_published().of(Model.of(adapter, args))}
    assert found == ({model} if model else set())


def test_every_packaged_number_is_well_formed() -> None:
    published = read_published()
    numbers = published.numbers
    assert len(numbers) >= 40 and {n.model for n in numbers} == published.models.keys()
    assert len(published.models) >= 10
    assert {n.task.split("_")[0] for n in numbers} == {"pope", "seed", "mmmu", "amber"}
    assert {n.prompt for n in numbers} == {None, WORD, ASK_FOR_LETTER}
    assert all(n.read.startswith(("https://", "arXiv ")) for n in numbers)
    assert all(n.rounding <= 0.005 for n in numbers)


def test_prefixes_and_metrics_are_those_of_the_package() -> None:
    templates = {path.name[1:-5] for path in (ROOT / "task_yamls").glob("*/_*_yaml")}
    assert set(get_args(Prefix)) == {name for name in templates if not name.startswith("caption")}
    names = {name for part in get_args(CleanMetric) for name in (get_args(part) or (part,))}
    assert names <= metrics_for(()).keys()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": 85.9}, "number 2: Expected `str`, got `float` - at `$.value`"),
        ({"value": "859"}, "number 2: Expected `str` matching regex"),
        ({"task": "caption"}, "number 2: Invalid enum value 'caption' - at `$.task`"),
        ({"metric": "accuracy"}, "number 2: Invalid enum value 'accuracy' - at `$.metric`"),
        ({"n": 0}, "number 2: Expected `int` >= 1 - at `$.n`"),
        ({"read": ""}, "number 2: Expected `str` of length >= 1 - at `$.read`"),
        ({"year": 2023}, "number 2: Object contains unknown field `year`"),
        ({"model": "other"}, "number 2: model other has no spellings in `models`"),
        ({"source": "source 0"}, "number 2: m, pope, accuracy_clean, source 0 is there twice"),
    ],
)
def test_a_bad_entry_is_one_line_with_file_and_number(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    file = numbers_file(tmp_path, {}, change)
    with pytest.raises(ReportError) as raised:
        read_published(file)
    assert str(raised.value).startswith(f"{file}, {said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {", "no file of published numbers"),
        ("[]", "no file of published numbers: Expected `object`, got `array`"),
        ("models: {m: [x], k: [X]}\nnumbers: [{}]", "x is both m and k"),
        ("models: {m: []}\nnumbers: [{}]", "Expected `array` of length >= 1"),
        ("models: {m: [x]}\nnumbers: []", "Expected `array` of length >= 1"),
        ("models: {m: [x]}\nnumbers: [{model: m}]", "number 1: Object missing required field"),
    ],
)
def test_a_bad_file_ends_the_command_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(SystemExit) as ended:
        cli.main(["verify", str(tmp_path), "--numbers", str(tmp_path / "mine.yaml")])
    assert said in str(ended.value.code) and str(ended.value.code).count("\n") == 0
    assert str(tmp_path / "mine.yaml") in str(ended.value.code)


def test_the_command_prints_a_table_or_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, {TASK: GOOD})
    changes = ({}, {"value": "50.0", "note": "by hand"}, {"differs": "other protocol"})
    file = str(numbers_file(tmp_path, *changes))
    cli.main(["verify", str(tmp_path), "--numbers", file, "--quiet"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "org/model, 240 documents"
    heads = "task metric here interval published n verdict source"
    assert lines[1].split() == heads.split()
    assert "inside" in lines[2] and "outside by +0." in lines[3] and "not comparable" in lines[5]
    assert lines[4].strip() == "by hand" and lines[6].strip() == "other protocol"
    cli.main(["verify", str(tmp_path), "--numbers", file, "--quiet", "--json"])
    record = json.loads(capsys.readouterr().out)
    (run,) = record["runs"]
    assert [row["verdict"] for row in run["comparisons"]] == ["inside", "outside", "not comparable"]
    assert run["comparisons"][0]["published"]["source"] == "source 0"
    assert run["cause"].startswith(f"org/model, {TASK}: accuracy_clean is outside")
    assert {"interval", "notes"} < record.keys()
    with pytest.raises(SystemExit) as ended:
        cli.main(["verify", str(tmp_path / "gone")])
    assert ended.value.code == 1 and "no such folder" in capsys.readouterr().err


def test_the_page_shows_a_file_that_is_read_and_counts_right(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "models.md").read_text()
    (tmp_path / "mine.yaml").write_text(re.findall(r"```yaml\n(models:.*?)```", page, re.S)[0])
    assert read_published(tmp_path / "mine.yaml").of(
        Model.of("llava", "pretrained=my-org/my-model")
    )
    published = read_published()
    numbers, models = published.numbers, published.models
    assert f"{len(numbers)} numbers of {len(models)} models" in page
    never = sum(bool(number.differs) for number in numbers)
    stated = sum(number.prompt is not None and not number.differs for number in numbers)
    counted = f"Of the {len(numbers)} numbers {stated} are of a source that states this prompt, "
    assert f"{counted}{len(numbers) - never - stated} of one" in page and f"and {never} are" in page
    named = set(re.findall(r"`(\w+)`", page))
    keys = {field.name for kind in (Verified, Comparison) for field in fields(kind)}
    assert keys | {"cause", "interval", "notes", "runs"} <= named


def test_samples_that_are_not_the_results_own_are_a_problem(tmp_path: Path) -> None:
    results = write_run(tmp_path / "run", {TASK: GOOD, "seed_blur": GOOD})
    samples = results.with_name(results.name.replace("results.json", f"samples_{TASK}.jsonl"))
    samples.write_text("".join(samples.read_text().splitlines(keepends=True)[1:]))
    published = read_published(numbers_file(tmp_path, {}, {"task": "seed"}))
    problems = Problems()
    (one,) = verify_runs([tmp_path / "run"], published, problems).verified
    assert one.task == "seed_blur" and one.comparisons[0].verdict == "inside"
    (line,) = problems.lines
    assert line.startswith(f"{samples}: not the samples of {results.name}: ")
