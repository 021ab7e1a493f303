"""The second turn: asking the model how certain it is of an answer that it gave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from vlm_confidence_tasks.benchmarks import second_turn
from vlm_confidence_tasks.evaluation.request import Request, RequestKey, Response


class FollowUps:
    """Which requests of a run have a second turn, and the keys of these.

    The second turn shows the same image in a conversation of its own, with the answer in its
    prompt. Second turns of one key are asked once: a clean question that five tasks share has
    one for each person that it is put in.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._waiting: dict[bytes, list[Request]] = {}
        self._keys: dict[Request, RequestKey] = {}

    def expect(self, requests: Iterable[Request]) -> None:
        """Register the requests whose tasks have a second turn."""
        for request in requests:
            if request.task.verbal is not None:
                self._waiting.setdefault(request.key.image.source, []).append(request)

    def expected(self, sources: Iterable[bytes] | None = None) -> int:
        """Return an upper bound of how many second turns are still to be asked.

        It is an upper bound since the answers decide whether two are the same.

        Args:
            sources: Digests of stored images; None: all.
        """
        chosen = self._waiting if sources is None else set(sources) & self._waiting.keys()
        waiting = [request for source in chosen for request in self._waiting[source]]
        return len({(request.key, request.task.verbal) for request in waiting})

    def take(
        self, sources: Iterable[bytes], responses: Mapping[RequestKey, Response]
    ) -> list[Request]:
        """Return the second turns about some images, one of each key.

        Args:
            sources: Digests of the stored images.
            responses: All responses so far. A request without one failed, and has no second
                turn.
        """
        made: dict[RequestKey, Request] = {}
        for source in dict.fromkeys(sources):
            for request in self._waiting.pop(source, ()):
                if request.key in responses:
                    second = _second(request, responses[request.key])
                    self._keys[request] = second.key
                    made.setdefault(second.key, second)
        return list(made.values())

    def key(self, request: Request) -> RequestKey | None:
        """Return the key of a request's second turn, None if it has none."""
        return self._keys.get(request)


def _second(request: Request, response: Response) -> Request:
    prompt = second_turn(str(request.task.verbal), request.question, response.answer, response.text)
    return replace(
        request,
        index=request.task.indices + request.index,
        key=replace(request.key, prompt=prompt, labels=()),
        first=request,
        options=(),
        representations=False,
    )
