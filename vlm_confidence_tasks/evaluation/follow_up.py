"""Second turns: follow-up requests that ask the model how certain it is of its answer."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from vlm_confidence_tasks.benchmarks import second_turn
from vlm_confidence_tasks.evaluation.request import Request, RequestKey, Response


class FollowUps:
    """The second turns of a run's requests.

    A second turn shows the same image in a new conversation, with the answer quoted in the
    prompt. Requests with equal keys share one second turn per prompt form ("first" or "third"
    person), however many tasks they belong to.
    """

    def __init__(self) -> None:
        """Start without requests."""
        self._pending: dict[bytes, list[Request]] = {}
        self._keys: dict[Request, RequestKey] = {}

    def expect(self, requests: Iterable[Request]) -> None:
        """Add the requests whose tasks have a second turn."""
        for request in requests:
            if request.task.settings.verbal is not None:
                self._pending.setdefault(request.key.image.source, []).append(request)

    def expected(self, sources: Iterable[bytes] | None = None) -> int:
        """Return an upper bound of the number of second turns that are still to be made.

        An upper bound, since two second turns may be equal, depending on the answers. `sources` are
        digests of stored images; None: all.
        """
        chosen = self._pending if sources is None else set(sources) & self._pending.keys()
        pending = [request for source in chosen for request in self._pending[source]]
        return len({(request.key, request.task.settings.verbal) for request in pending})

    def take(
        self, sources: Iterable[bytes], responses: Mapping[RequestKey, Response]
    ) -> list[Request]:
        """Return the second turns about some stored images, one for each key.

        A request without a response has failed and gets no second turn.
        """
        made: dict[RequestKey, Request] = {}
        for source in dict.fromkeys(sources):
            for request in self._pending.pop(source, ()):
                if request.key in responses:
                    second = _second(request, responses[request.key])
                    self._keys[request] = second.key
                    made.setdefault(second.key, second)
        return list(made.values())

    def key(self, request: Request) -> RequestKey | None:
        """Return the key of a request's second turn, None if it has none."""
        return self._keys.get(request)


def _second(request: Request, response: Response) -> Request:
    person = str(request.task.settings.verbal)
    prompt = second_turn(person, request.question, response.answer, response.text)
    return replace(
        request,
        index=request.task.indices + request.index,
        key=replace(request.key, prompt=prompt, labels=()),
        first=request,
        options=(),
        representations=False,
    )
