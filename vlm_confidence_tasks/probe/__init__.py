"""The only room that knows transformers and torch: generate() -> Readings."""

from __future__ import annotations

from vlm_confidence_tasks.probe.backend import ProbeError, find_model, find_tokenizer
from vlm_confidence_tasks.probe.description import Origin, numerics, origin
from vlm_confidence_tasks.probe.gathering import gather
from vlm_confidence_tasks.probe.generation import watched
from vlm_confidence_tasks.probe.inside import InsideWatcher
from vlm_confidence_tasks.probe.labels import label_tokens
from vlm_confidence_tasks.probe.memory import free_memory, out_of_memory
from vlm_confidence_tasks.probe.reading import Captured, Reading, label_probabilities
from vlm_confidence_tasks.probe.readout import make_readout
from vlm_confidence_tasks.probe.replacing import replaced
from vlm_confidence_tasks.probe.scoring import OptionScorer

__all__ = [
    "Captured",
    "InsideWatcher",
    "OptionScorer",
    "Origin",
    "ProbeError",
    "Reading",
    "find_model",
    "find_tokenizer",
    "free_memory",
    "gather",
    "label_probabilities",
    "label_tokens",
    "make_readout",
    "numerics",
    "origin",
    "out_of_memory",
    "replaced",
    "watched",
]
