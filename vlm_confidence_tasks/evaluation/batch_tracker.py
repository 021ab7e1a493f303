"""Matches the rows of each generate() to requests."""

from collections.abc import Callable, Sequence

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.errors import MeasurementError, RequestError, one_line
from vlm_confidence_tasks.evaluation.failures import located
from vlm_confidence_tasks.evaluation.request import Request

LESS_MEMORY = (
    "a smaller --batch_size, a shorter dtype, quantisation or the task's max_side needs less memory"
)


class BatchTracker:
    """Matches the rows of each generate() to requests: a `probe.BatchRows`.

    The rows are the requests that the adapter announced, or else those whose documents it
    looked up since the last generate(), in that order; `probe.rows` defines the contract.
    """

    def __init__(self, progress: Callable[[int], object]) -> None:
        """Start with no look-up; `progress` gets the number of answers of each generate()."""
        self._progress = progress
        self._pending: list[Request] = []
        self._failure: tuple[Request | None, BaseException] | None = None
        self._readings: dict[Request, probe.Reading] = {}
        self._announces = False

    def announce(self, requests: Sequence[Request]) -> None:
        """Set the rows of the next batch; look-ups are ignored from then on."""
        self._announces = True
        self._pending = list(requests)

    def looked_up(self, request: Request) -> None:
        """Record a look-up; adapters may repeat one while they build a batch."""
        if not self._announces and request not in self._pending:
            self._pending.append(request)

    def rows(self) -> list[probe.Row]:
        """Return the rows of the batch that is about to be generated."""
        if self._failure is not None:
            raise probe.ProbeError("an earlier answer of this call failed")
        if not self._pending:
            raise probe.ProbeError("generate() was called, but no document was looked up for it")
        return [
            probe.Row(request.key.labels, request.options, request.representations)
            for request in self._pending
        ]

    def deliver(self, readings: Sequence[probe.Reading]) -> None:
        """Store the batch's readings, in the order of its rows."""
        self._readings.update(zip(self._pending, readings, strict=True))
        self._progress(len(readings))
        self._pending = []

    def fail(self, error: BaseException) -> None:
        """Record an error; the first one of a call is reported."""
        if self._failure is None:
            self._failure = (self._pending[-1] if self._pending else None, error)
        self._pending = []

    def reading(self, request: Request) -> probe.Reading | None:
        """Remove and return the reading of a request."""
        return self._readings.pop(request, None)

    def clear(self) -> None:
        """Drop the readings of a failed call, before its requests are repeated."""
        self._readings.clear()

    def finish(self, requests: Sequence[Request], raised: BaseException | None) -> None:
        """End a call of the engine and raise its first error, even if the engine swallowed it.

        `requests` are all of the call; `raised` is what the engine raised, if anything.

        Raises:
            MeasurementError: There was an error; names the request at which it occurred.
        """
        last = self._pending[-1] if self._pending else None
        failure, self._failure, self._pending = self._failure, None, []
        if failure is None:
            if raised is None:
                return
            request, error = last, raised
            what = f"the adapter failed with {one_line(raised)}; nothing was scored"
        else:
            request, error = failure
            if isinstance(error, MeasurementError):
                raise error
            what = (
                f"generate() failed with {one_line(error)}; nothing was scored: mend the model "
                "or its arguments and run again"
            )
        if probe.out_of_memory(error):
            what = f"{one_line(error)}; nothing was scored: {LESS_MEMORY}"
        with located((request or requests[0]).place):
            raise RequestError(what) from error
