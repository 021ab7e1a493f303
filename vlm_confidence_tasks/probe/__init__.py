"""Measures a model while it answers: the only subpackage that imports torch and transformers."""

from vlm_confidence_tasks.probe.answer_position import answer_position
from vlm_confidence_tasks.probe.backend import ProbeError, check_length
from vlm_confidence_tasks.probe.carrying import Served, escaped
from vlm_confidence_tasks.probe.description import Origin, folder_digest
from vlm_confidence_tasks.probe.distribution import entropies, measure
from vlm_confidence_tasks.probe.hidden_states import StateRecorder, Vision, pool_vision
from vlm_confidence_tasks.probe.labels import label_tokens
from vlm_confidence_tasks.probe.logit_source import (
    LogitSource,
    TransformersSource,
    find_source,
)
from vlm_confidence_tasks.probe.options import options_of
from vlm_confidence_tasks.probe.processes import free_memory, gather, out_of_memory
from vlm_confidence_tasks.probe.reading import (
    FloatArray,
    HiddenStates,
    LabelStep,
    Reading,
    label_probabilities,
)
from vlm_confidence_tasks.probe.readout import make_readout, max_width
from vlm_confidence_tasks.probe.recorder import LabelTokens, measure_step, pad_label_tokens
from vlm_confidence_tasks.probe.rows import BatchRows, Row
from vlm_confidence_tasks.probe.structure import Structure, find_structure
from vlm_confidence_tasks.probe.temporary import hooked, replaced

__all__ = [
    "BatchRows",
    "FloatArray",
    "HiddenStates",
    "LabelStep",
    "LabelTokens",
    "LogitSource",
    "Origin",
    "ProbeError",
    "Reading",
    "Row",
    "Served",
    "StateRecorder",
    "Structure",
    "TransformersSource",
    "Vision",
    "answer_position",
    "check_length",
    "entropies",
    "escaped",
    "find_source",
    "find_structure",
    "folder_digest",
    "free_memory",
    "gather",
    "hooked",
    "label_probabilities",
    "label_tokens",
    "make_readout",
    "max_width",
    "measure",
    "measure_step",
    "options_of",
    "out_of_memory",
    "pad_label_tokens",
    "pool_vision",
    "replaced",
]
