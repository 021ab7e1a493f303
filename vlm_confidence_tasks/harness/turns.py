"""The second turn: asking the model how certain it is of an answer that it gave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from vlm_confidence_tasks.benchmarks import second_turn
from vlm_confidence_tasks.harness.plan import Ask, Key


class Said(Protocol):
    """What is known of an answer once it is given."""

    @property
    def answer(self) -> str | None:
        """The label read from it."""

    @property
    def text(self) -> str:
        """Its text."""


class SecondTurns:
    """Which asks of a run are followed by a second one, and what became of that.

    The second turn shows the same image in a conversation of its own, with the answer in
    its prompt. Two that ask the same thing are one: a clean question that five tasks share
    has one second turn for each person that it is put in.
    """

    def __init__(self) -> None:
        """Start with nothing to ask."""
        self._waiting: dict[bytes, list[Ask]] = {}
        self._keys: dict[Ask, Key] = {}

    def expect(self, asks: Iterable[Ask]) -> None:
        """Take down those asks whose tasks want a second turn."""
        for ask in asks:
            if ask.task.plan.verbal is not None:
                self._waiting.setdefault(ask.key.shown.source, []).append(ask)

    def expected(self, sources: Iterable[bytes] | None = None) -> int:
        """Return how many second turns there are to ask, at most.

        Answers that are not there yet decide whether two are the same.

        Args:
            sources: Digests of stored images; None: all.
        """
        chosen = self._waiting if sources is None else set(sources) & self._waiting.keys()
        waiting = [ask for source in chosen for ask in self._waiting[source]]
        return len({(ask.key, ask.task.plan.verbal) for ask in waiting})

    def after(self, sources: Iterable[bytes], said: Mapping[Key, Said]) -> list[Ask]:
        """Hand out the second turns about some images; equal ones are one.

        Args:
            sources: Digests of the stored images.
            said: Every answer so far, those about these images among them; about what is
                not there, because it failed, nothing more is asked.
        """
        asks: dict[Key, Ask] = {}
        for source in dict.fromkeys(sources):
            for ask in self._waiting.pop(source, ()):
                if ask.key not in said:
                    continue
                second = _follow(ask, said[ask.key])
                self._keys[ask] = second.key
                asks.setdefault(second.key, second)
        return list(asks.values())

    def key(self, ask: Ask) -> Key | None:
        """Return the key of an ask's second turn, None if its task wants none."""
        return self._keys.get(ask)


def _follow(ask: Ask, said: Said) -> Ask:
    """Make the ask that asks about the answer to another."""
    prompt = second_turn(str(ask.task.plan.verbal), ask.question, said.answer, said.text)
    index = ask.task.second_turn_index(ask.index)
    return Ask(
        task=ask.task,
        index=index,
        document=ask.document,
        request=ask.task.request(index, ask.request.idx, prompt, ask.request.metadata),
        key=replace(ask.key, prompt=prompt, labels=()),
        first=ask,
    )
