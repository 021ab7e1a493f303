"""Records that go into samples files and come back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlm_confidence_tasks.report.inputs.samples import read_samples
from vlm_confidence_tasks.types import CLEAN, Readout

PLAIN = Readout.of(CLEAN, "digest", "Yes", "Yes", True, entropy=0.5, token_entropy=(0.5,))
BOUNDED = Readout.of(CLEAN, "digest", "Yes", "Yes", True, entropy_low=0.25, entropy_high=0.5)
STATED = Readout.of(CLEAN, "digest", "Yes", "Yes", True, verbal_text="?", verbal_confidence=None)
SCORED = Readout.of(
    CLEAN,
    "digest",
    "Yes",
    "Yes",
    True,
    option_logprob={"Yes": -2.0, "No": -1.0},
    option_logprob_mean={"Yes": -0.5, "No": -1.0},
)
LATER = {"verbal_text", "verbal_confidence", "option_logprob", "option_logprob_mean"}
LATER |= {"entropy_low", "entropy_high", "refused"}


LOST = Readout.of(CLEAN, "digest", "Yes", "Yes", True, position_unknown=True)
PLACED = Readout.of(CLEAN, "digest", "Yes", "Yes", True, answer_step=1, entropy_answer=0.25)


REFUSED = Readout.of(CLEAN, "digest", "No image was sent.", None, False, refused=True)


@pytest.mark.parametrize("record", [PLAIN, STATED, SCORED, BOUNDED, LOST, PLACED, REFUSED])
def test_what_is_written_is_read_back(record, tmp_path: Path):
    row = {"question_id": "1", "image_id": "x", "image_sha256": "digest", "gold": "Yes"}
    row |= {"labels": ["Yes", "No"], "positive": None, "readouts": [record.to_dict()]}
    file = tmp_path / "samples.jsonl"
    file.write_text(json.dumps(row) + "\n")
    (sample,) = read_samples(file).samples
    assert sample.clean == record


def test_records_of_other_tasks_are_as_they_were_before_these_protocols():
    assert not LATER & PLAIN.to_dict().keys()
    assert LATER & STATED.to_dict().keys() == {"verbal_text", "verbal_confidence"}
    assert LATER & SCORED.to_dict().keys() == {"option_logprob", "option_logprob_mean"}
    assert LATER & BOUNDED.to_dict().keys() == {"entropy_low", "entropy_high"}


def test_the_likeliest_option_by_sum_and_by_mean():
    assert (SCORED.loglik_answer, SCORED.loglik_mean_answer) == ("No", "Yes")
    assert (PLAIN.loglik_answer, PLAIN.loglik_mean_answer) == (None, None)
    tied = Readout.of(CLEAN, "", "", None, False, option_logprob={"B": -1.0, "A": -1.0})
    assert tied.loglik_answer == "B"
