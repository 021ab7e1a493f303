"""The model ids that the plugin adds to lmms-eval.

`hf_multimodal`: any vision-language model of the hub with a chat template.
`llava`: LLaVA checkpoints in the Hugging Face format. lmms-eval has an adapter of that
name for the original LLaVA package, which is on no package index; where that package is
installed, its adapter is left in place. `tiny_llava`: the embedded model.
"""

from importlib import metadata
from typing import Any


def manifests() -> list[Any]:
    """Return what lmms-eval registers."""
    from lmms_eval.models.registry_v2 import ModelManifest

    adapters = [
        ("hf_multimodal", "hf_multimodal.HfMultimodal"),
        ("tiny_llava", "llava.TinyLlava"),
    ]
    if not original_llava_is_installed():
        adapters.append(("llava", "llava.Llava"))
    return [
        ModelManifest(
            model_id=name,
            simple_class_path=f"vlm_confidence_tasks.models.{class_name}Simple",
            chat_class_path=f"vlm_confidence_tasks.models.{class_name}",
        )
        for name, class_name in adapters
    ]


def original_llava_is_installed() -> bool:
    """Whether the LLaVA package (not this one's namesake adapter) is installed."""
    try:
        metadata.distribution("llava")
    except metadata.PackageNotFoundError:
        return False
    return True
