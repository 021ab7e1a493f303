"""Loads the models of mask providers."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from vlm_confidence_tasks.errors import TaskError, one_line
from vlm_confidence_tasks.probe import folder_digest


def load(kind: Any, source: str, provider: str) -> Any:
    """Return a model, on the GPU where there is one, or a processor; or raise TaskError.

    `kind` is a class of transformers with `from_pretrained`, `source` a hub id or folder.
    """
    try:
        loaded = kind.from_pretrained(source)
    except Exception as error:
        raise TaskError(
            f"masks: the provider {provider} cannot load {source} ({one_line(error)}): download "
            "it, or name another hub id or a folder in VLM_CONFIDENCE_MASKS (docs/masks.md)"
        ) from error
    if isinstance(loaded, torch.nn.Module):
        return loaded.eval().to("cuda" if torch.cuda.is_available() else "cpu")
    return loaded


def version(source: str, provider: str) -> str:
    """Return a source and its commit on the hub, or the digest of a folder, or raise TaskError."""
    if Path(source).is_dir():
        return f"files {folder_digest(Path(source))[:16]}"
    commit = load(AutoConfig, source, provider)._commit_hash
    if commit is None:
        raise TaskError(
            f"masks: the provider {provider} cannot tell which commit of {source} is loaded, by "
            "which masks are kept: name a folder with its files"
        )
    return f"{source}@{commit}"
