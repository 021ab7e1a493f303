"""Measures a model while it answers: the only subpackage that imports torch and transformers."""

from __future__ import annotations

from vlm_confidence_tasks.probe.answer_position import answer_position
from vlm_confidence_tasks.probe.backend import ProbeError, find_model, find_tokenizer
from vlm_confidence_tasks.probe.description import Origin
from vlm_confidence_tasks.probe.gathering import gather
from vlm_confidence_tasks.probe.generation import watched
from vlm_confidence_tasks.probe.hidden_states import HiddenStatesExtractor
from vlm_confidence_tasks.probe.labels import label_tokens
from vlm_confidence_tasks.probe.logit_source import (
    LogitSource,
    NoLogits,
    TransformersSource,
    find_source,
)
from vlm_confidence_tasks.probe.memory import free_memory, out_of_memory
from vlm_confidence_tasks.probe.reading import (
    HiddenStates,
    LabelStep,
    Reading,
    label_probabilities,
)
from vlm_confidence_tasks.probe.readout import make_readout
from vlm_confidence_tasks.probe.replacing import replaced
from vlm_confidence_tasks.probe.rows import BatchRows, Row
from vlm_confidence_tasks.probe.scoring import OptionScorer
from vlm_confidence_tasks.probe.top_k import TopKStep, entropy_bounds, read_top_k

__all__ = [
    "BatchRows",
    "HiddenStates",
    "HiddenStatesExtractor",
    "LabelStep",
    "LogitSource",
    "NoLogits",
    "OptionScorer",
    "Origin",
    "ProbeError",
    "Reading",
    "Row",
    "TopKStep",
    "TransformersSource",
    "answer_position",
    "entropy_bounds",
    "find_model",
    "find_source",
    "find_tokenizer",
    "free_memory",
    "gather",
    "label_probabilities",
    "label_tokens",
    "make_readout",
    "out_of_memory",
    "read_top_k",
    "replaced",
    "watched",
]
