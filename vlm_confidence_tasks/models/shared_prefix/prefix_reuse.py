"""Hands the cache of a prompt's prefix on from one generate() of a stock adapter to the next."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from loguru import logger
from transformers import DynamicCache

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.models.shared_prefix.check import COARSE_ROUNDING, ROUNDING
from vlm_confidence_tasks.models.shared_prefix.prefix import KeyValues, cache_of, key_values
from vlm_confidence_tasks.models.shared_prefix.prompts import BY_TOKEN, common_prefix, same
from vlm_confidence_tasks.models.shared_prefix.source import SharedPrefixSource
from vlm_confidence_tasks.probe.description import is_exact

SHARE_PREFIX = "VLM_CONFIDENCE_SHARE_PREFIX"
CHECKED = 3


def reuse(source: probe.LogitSource, *, representations: bool) -> AbstractContextManager[None]:
    """Return a context in which a stock adapter's model reuses prefixes, if the user asks for it.

    Not where hidden states are measured (`representations`), which takes whole prompts.
    """
    if os.environ.get(SHARE_PREFIX) != "1" or isinstance(source, SharedPrefixSource):
        return nullcontext()
    if source.model is None or representations:
        what = "it runs no transformers model" if source.model is None else "it measures the inside"
        logger.warning(f"{SHARE_PREFIX} is left aside: {what}")
        return nullcontext()
    return _reusing(source.model)


@contextmanager
def _reusing(model: Any) -> Iterator[None]:
    with probe.replaced(model, "generate", PrefixReuse(model)):
        yield


@dataclass(frozen=True, eq=False)
class _Last:
    """What the last generate() left.

    Attributes:
        others: Its inputs besides those with an entry for each token.
        state: Keys and values, of the answer too.
        deltas: What the Qwen-VL families keep of the image's positions.
    """

    tokens: list[int]
    others: Mapping[str, torch.Tensor]
    state: KeyValues
    deltas: torch.Tensor | None


class PrefixReuse:
    """A model's generate() that does not run again what its last prompt has in common.

    The first few times both ways are run and compared; where they differ by more than rounding,
    prefixes are left alone from then on.
    """

    def __init__(self, model: Any) -> None:
        """Store the model's own generate()."""
        self._model = model
        self._generate = model.generate
        self._last: _Last | None = None
        self._compared = 0
        self._largest = 0.0
        config = model.config
        names = ("image_token_id", "image_token_index")
        self._image = next((t for n in names if (t := getattr(config, n, None)) is not None), None)
        self._off = self._image is None or bool(getattr(config, "is_encoder_decoder", False))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Generate; the arguments and the result are those of the model's generate()."""
        if self._off or args or not _is_plain(kwargs):
            self._last = None
            return self._generate(*args, **kwargs)
        shorter = self._shorter(kwargs)
        if shorter is None:
            return self._whole(kwargs)
        if self._compared < CHECKED:
            self._compare(kwargs, shorter)
            return self._whole(kwargs)
        return self._generate(**shorter)

    def _whole(self, kwargs: dict[str, Any]) -> Any:
        """Run a whole prompt and remember its keys and values."""
        # Without a configuration every layer keeps all keys, also those with a sliding window.
        cache = DynamicCache()
        output = self._generate(**kwargs, past_key_values=cache)
        deltas = getattr(getattr(self._model, "model", None), "rope_deltas", None)
        tokens = kwargs["input_ids"][0].tolist()
        self._last = _Last(
            tokens, _others(kwargs), key_values(cache), None if deltas is None else deltas.clone()
        )
        return output

    def _shorter(self, kwargs: dict[str, Any]) -> dict[str, Any] | None:
        """Return the arguments that go on from the last prompt's cache; None if none fits."""
        last, others = self._last, _others(kwargs)
        if last is None or others.keys() != last.others.keys():
            return None
        if not all(same(value, last.others[name]) for name, value in others.items()):
            return None
        tokens = kwargs["input_ids"][0].tolist()
        length = common_prefix([tokens, last.tokens], int(self._image or 0))
        if not length:
            return None
        if last.deltas is not None:
            # An image in between would have left its own.
            self._model.model.rope_deltas = last.deltas
        state = [(keys[:, :, :length], values[:, :, :length]) for keys, values in last.state]
        kept = {name: value for name, value in kwargs.items() if name not in others}
        return {**kept, "past_key_values": cache_of(state)}

    def _compare(self, kwargs: dict[str, Any], shorter: dict[str, Any]) -> None:
        """Run both ways, and leave prefixes alone if they differ."""
        why = None
        try:
            gap = self._difference(kwargs, shorter)
            exact = is_exact(self._model)
            if not gap <= (ROUNDING if exact else COARSE_ROUNDING):
                why = f"log-probabilities differ by {gap:.2g}"
            self._largest = max(self._largest, gap)
        except Exception as error:
            if probe.out_of_memory(error):
                raise
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        self._compared += 1
        if why is not None:
            self._off = True
            logger.warning(f"{SHARE_PREFIX} is left aside, since it does not work here: {why}")
        elif self._compared == CHECKED:
            agree = f"{CHECKED} answers agree with generate() to {self._largest:.1g}"
            logger.info(f"{SHARE_PREFIX}: the cache of an equal prefix is reused ({agree})")

    def _difference(self, kwargs: dict[str, Any], shorter: dict[str, Any]) -> float:
        """Return the largest difference of ln p while the answers are equal; mean if not exact."""
        more = {"output_logits": True, "return_dict_in_generate": True}
        found = []
        # The shorter first: the whole prompt leaves its own positions behind.
        for given in (shorter, kwargs):
            given = {name: value for name, value in given.items() if name != "stopping_criteria"}
            output = self._generate(**{**given, **more})
            found.append((output.sequences, torch.stack(output.logits).float().log_softmax(-1)))
        (mine, one), (theirs, other) = found
        exact = is_exact(self._model)
        if exact and not torch.equal(mine, theirs):
            return float("inf")
        steps = min(len(one), len(other)) if torch.equal(mine, theirs) else 1
        gap = (one[:steps] - other[:steps]).abs()
        return float(gap.max() if exact else gap.mean())


def _is_plain(kwargs: Mapping[str, Any]) -> bool:
    """Whether arguments are one prompt's token ids with pixels, generated with a cache."""
    ids, mask = kwargs.get("input_ids"), kwargs.get("attention_mask")
    return (
        isinstance(ids, torch.Tensor)
        and ids.shape[0] == 1
        and (mask is None or bool(mask.all()))
        and kwargs.get("past_key_values") is None
        and kwargs.get("inputs_embeds") is None
        and kwargs.get("use_cache", True) is not False
        # Its layers hold the image's keys, which a prefix of the text does not cut.
        and "cross_attention_mask" not in kwargs
    )


def _others(kwargs: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    return {
        name: value
        for name, value in kwargs.items()
        if isinstance(value, torch.Tensor) and name not in BY_TOKEN
    }
