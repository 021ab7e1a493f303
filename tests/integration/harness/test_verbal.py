"""Second turns of an evaluation in this process: prompts, images, parsing and progress."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.conftest import again, numbers
from vlm_confidence_tasks.errors import MeasurementError
from vlm_confidence_tasks.probe.logit_source import NoLogits

from .watched_model import Watched

DOCUMENTS, VARIANTS = 2, 5
QUOTED = re.compile(r"asked: (?P<question>.*?) (?:Model's|Your) answer was: (?P<answer>.*?)\. How")


class Asked(Watched):
    """The embedded model, whose answers can be replaced."""

    def __init__(self, simple: bool = False, say: Callable[[str], str] | None = None) -> None:
        super().__init__(simple)
        answer = self.lm.generate_until

        def generate_until(requests):
            returned = answer(requests)
            return returned if say is None else [say(request.args[0]) for request in requests]

        self.lm.generate_until = generate_until

    @property
    def second(self) -> list[str]:
        """Prompts of second turns."""
        return [prompt for prompt in self.prompts if "How certain are you" in prompt]


@pytest.fixture
def evaluate(evaluate, few_questions: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(few_questions))

    def run(lm: Asked, *tasks: str, limit: int = DOCUMENTS) -> dict:
        return evaluate(*tasks, lm=lm.lm, limit=limit)

    return run


@pytest.mark.parametrize("simple", [False, True])
def test_a_second_turn_shows_the_image_of_its_first_turn(evaluate, simple) -> None:
    lm = Asked(simple)
    found = evaluate(lm, "pope_verbal3")
    rows = found["samples"]["pope_verbal3"]
    assert len(rows) == DOCUMENTS and all(len(row["readouts"]) == VARIANTS for row in rows)
    assert len(lm.second) == len(lm.prompts) - DOCUMENTS * VARIANTS == DOCUMENTS * VARIANTS
    first, second = [], []
    for prompt, call in zip(lm.prompts, lm.calls, strict=True):
        quoted = QUOTED.search(prompt)
        asked = quoted["question"] if quoted else re.search(r"Is there .*\?", prompt)[0]
        (second if quoted else first).append((asked, call["pixel_values"].numpy().tobytes()))
    assert sorted(first) == sorted(second)
    assert len(set(first)) == DOCUMENTS * VARIANTS


def test_a_second_turn_quotes_the_bare_question_and_the_parsed_answer(evaluate) -> None:
    answers = iter(["yes.", "No", "Perhaps.", "It is.", "Yes, no"] * DOCUMENTS)
    lm = Asked(say=lambda prompt: "80%" if "certain" in prompt else next(answers))
    evaluate(lm, "pope_verbal1", limit=1)
    assert "word or phrase" not in "".join(lm.second)
    quoted = [QUOTED.search(prompt)["answer"] for prompt in lm.second]
    assert quoted == ["Yes", "No", "Perhaps", "It is", "Yes, no"]
    assert all(prompt.count("You were asked: Is there a") == 1 for prompt in lm.second)


def test_tasks_share_first_turns_and_persons_share_nothing_else(evaluate) -> None:
    lm = Asked()
    tasks = "pope_eps0.1", "pope_eps0.5", "pope_verbal1", "pope_verbal3"
    found = evaluate(lm, *tasks)
    assert len(lm.prompts) == 3 * DOCUMENTS * VARIANTS
    third = [prompt for prompt in lm.second if "A Language model was asked" in prompt]
    assert len(third) == DOCUMENTS * VARIANTS
    assert "verbal_text" not in found["samples"]["pope_eps0.1"][0]["readouts"][0]
    assert not any(name.startswith("verbal") for name in found["results"]["pope_eps0.1"])


def test_numbers_by_hand_and_again_from_the_samples(evaluate, tmp_path: Path) -> None:
    """Clean answers claimed certain by 90%, perturbed ones by 20% and, once, not at all."""
    said = iter(["90%"] * 2 + ["20%", "0.2", "20", "a fifth"] + ["20 percent"] * 4)
    lm = Asked(say=lambda prompt: next(said) if "certain" in prompt else "Yes")
    found = evaluate(lm, "pope_verbal3", limit=2)
    rows = found["samples"]["pope_verbal3"]
    right = [row["gold"] == "Yes" for row in rows]
    values = numbers(found, "pope_verbal3")
    assert values["verbal_confidence_clean"] == 0.9
    assert values["verbal_confidence"] == pytest.approx(0.2)
    assert values["verbal_invalid_rate_clean"] == 0
    assert values["verbal_invalid_rate"] == 1 / 8
    assert values["verbal_accuracy_clean"] == sum(right) / 2
    stated = [
        (record["verbal_confidence"], record["correct"])
        for row in rows
        for record in row["readouts"][1:]
    ]
    brier = [(sure - hit) ** 2 for sure, hit in stated if sure is not None]
    assert values["verbal_brier_top"] == pytest.approx(sum(brier) / 7)
    true = [sure is not None and (sure >= 0.5) == hit for sure, hit in stated]
    assert values["verbal_accuracy"] == sum(true) / 8
    assert "verbal_alignment" not in values  # constant
    made = again(found, "pope_verbal3", tmp_path)
    assert {name for name in made if name.startswith("verbal")} >= {"verbal_ece", "verbal_f1"}
    assert made == pytest.approx(values, abs=1e-12)


def test_without_logits_certainty_is_still_stated(evaluate) -> None:
    lm = Asked()
    lm.lm.logit_source = NoLogits("an engine")
    lm.lm.generate_until = lambda requests: [
        "75%" if "certain" in request.args[0] else "Yes" for request in requests
    ]
    values = numbers(evaluate(lm, "pope_verbal3"), "pope_verbal3")
    assert values["verbal_confidence"] == 0.75
    assert "verbal_ece" in values and "verbal_alignment" not in values and "ece" not in values


def test_a_second_turn_that_fails_ends_the_run_and_is_named(evaluate) -> None:
    lm = Asked()
    generate = lm.lm.model.generate

    def failing(*args, **kwargs):
        if len(lm.second) == 1:
            raise RuntimeError("boom")
        return generate(*args, **kwargs)

    lm.lm.model.generate = failing
    where = r"task pope_verbal3, document 1 \(question_id .*, variant clean, second turn: .*boom"
    with pytest.raises(MeasurementError, match=where):
        evaluate(lm, "pope_verbal3")


@pytest.mark.parametrize("tasks", [("pope_verbal3",), ("pope_eps0.1", "pope_verbal1")])
def test_the_progress_bar_counts_second_turns(evaluate, capfd, tasks) -> None:
    evaluate(Asked(), *tasks)
    shown = re.findall(r"Perturbed: 100%\|.*?\| (\d+)/(\d+)", capfd.readouterr().err)
    assert set(shown) == {("20", "20")}
