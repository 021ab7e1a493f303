"""What is said of an adapter that failed."""

from __future__ import annotations

import pytest

from vlm_confidence_tasks.errors import MeasurementError
from vlm_confidence_tasks.evaluation.batch_tracker import BatchTracker

from . import making


@pytest.mark.parametrize("swallowed", [True, False])
def test_too_little_memory_is_told_with_what_needs_less(swallowed: bool) -> None:
    tracker, request = BatchTracker(lambda answers: None), making.request()
    tracker.looked_up(request)
    error = RuntimeError("CUDA out of memory")
    if swallowed:
        tracker.fail(error)
    with pytest.raises(
        MeasurementError, match="out of memory; .* a smaller --batch_size"
    ) as caught:
        tracker.finish([request], None if swallowed else error)
    assert caught.value.__cause__ is error


def test_what_an_adapter_raises_is_told_with_the_last_request_looked_up() -> None:
    tracker = BatchTracker(lambda answers: None)
    requests = [making.request(index=n) for n in range(2)]
    for request in requests:
        tracker.looked_up(request)
    with pytest.raises(MeasurementError, match="document 1 .*adapter failed with KeyError: 'x'"):
        tracker.finish(requests, KeyError("x"))
