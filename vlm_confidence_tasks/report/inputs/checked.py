"""Whether a samples file's row holds what its readers rely on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def check_row(row: Mapping[str, Any]) -> None:
    """Make sure that a row's values are of the kinds that a task writes.

    Raises:
        ValueError: One is not; the message names it.
        KeyError: A key that every row has is missing.
    """
    _check("", row, _ROW)
    for number, readout in enumerate(row["readouts"]):
        where = f"readout {number}: "
        if not isinstance(readout, dict):
            raise ValueError(f"{where}is {_shown(readout)}, expected an object")
        _check(where, readout, _READOUT)
        _check(where, {key: readout[key] for key in _OF_SOME if key in readout}, _OF_SOME)
        if (inside := readout.get("inside")) is not None:
            if not isinstance(inside, dict):
                raise ValueError(f"{where}inside is {_shown(inside)}, expected an object")
            _check(f"{where}inside: ", inside, _INSIDE)
            _check_keys(f"{where}inside: prior_probs", inside["prior_probs"], row["labels"])
        _check_labels(where, readout, row["labels"])


def _check(where: str, record: Mapping[str, Any], kinds: Mapping[str, tuple[Check, str]]) -> None:
    for key, (fits, expected) in kinds.items():
        if key in _OF_SOME and key not in record:
            continue
        if not fits(record[key]):
            raise ValueError(f"{where}{key} is {_shown(record[key])}, expected {expected}")


def _check_labels(where: str, readout: Mapping[str, Any], labels: Iterable[str]) -> None:
    known = set(labels)
    answer = readout["answer"]
    if answer is not None and answer not in known:
        raise ValueError(f"{where}answer is {_shown(answer)}, which is none of the labels")
    if (readout["confidence"] is None) != (answer is None or readout["probs"] is None):
        raise ValueError(f"{where}answer, probs and confidence do not fit together")
    for key in ("probs", "option_logprob", "option_logprob_mean"):
        _check_keys(f"{where}{key}", readout.get(key), known)
    if (readout.get("option_logprob") is None) != (readout.get("option_logprob_mean") is None):
        raise ValueError(f"{where}option_logprob and option_logprob_mean do not fit together")


def _check_keys(what: str, held: Mapping[str, Any] | None, labels: Iterable[str]) -> None:
    if held is not None and set(held) != set(labels):
        raise ValueError(f"{what} has other keys than the labels")


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 2**63


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_scalar(value: Any) -> bool:
    return _is_text(value) or _is_flag(value) or _is_number(value)


def _or_none(fits: Check) -> Check:
    return lambda value: value is None or fits(value)


def _all(fits: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def _mapping(fits: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


def _some(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


_TEXT = (_is_text, "text")
_NUMBER = (_or_none(_is_number), "a finite number or null")
_SHARE = (_or_none(_is_share), "a number from 0 to 1 or null")
_LOGPROBS = (_or_none(_mapping(_is_number)), "a finite number for each label or null")

_ROW: dict[str, tuple[Check, str]] = {
    "image_id": _TEXT,
    "gold": (_or_none(_is_text), "text or null"),
    "labels": (_all(_is_text), "a list of texts"),
    "positive": (_or_none(_is_text), "text or null"),
    "upstream_clean": _NUMBER,
    "readouts": (_some, "a list of one or more"),
}
_READOUT: dict[str, tuple[Check, str]] = {
    "variant": _TEXT,
    "parameters": (_mapping(_is_scalar), "an object of texts, numbers and flags"),
    "seed": (_is_whole, "a whole number"),
    "family": _TEXT,
    "control": (_is_flag, "true or false"),
    "image_sha256": _TEXT,
    "text": _TEXT,
    "answer": (_or_none(_is_text), "text or null"),
    "correct": (_or_none(_is_flag), "true, false or null"),
    "entropy": _NUMBER,
    "token_entropy": (_or_none(_all(_is_number)), "a list of finite numbers or null"),
    "logprob": _NUMBER,
    "probs": (_or_none(_mapping(_is_share)), "a number from 0 to 1 for each label or null"),
    "answer_mass": _SHARE,
    "answer_step": (_or_none(_is_whole), "a whole number or null"),
    "confidence": _SHARE,
    "margin": _NUMBER,
    "gold_margin": _NUMBER,
}
_OF_SOME: dict[str, tuple[Check, str]] = {
    "verbal_text": (_or_none(_is_text), "text or null"),
    "verbal_confidence": _SHARE,
    "option_logprob": _LOGPROBS,
    "option_logprob_mean": _LOGPROBS,
}
_NUMBERS = (_mapping(_is_number), "an object of finite numbers")
_INSIDE: dict[str, tuple[Check, str]] = {
    "drift": _NUMBERS,
    "distance": _NUMBERS,
    "control": _NUMBERS,
    "prior_drift": _NUMBER,
    "prior_probs": (_or_none(_mapping(_is_share)), "a number from 0 to 1 for each label or null"),
    "dirichlet_energy": _NUMBER,
    "layer_entropy": (_all(_is_number), "a list of finite numbers"),
    "spectrum": _NUMBERS,
}
