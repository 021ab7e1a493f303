"""LLaVA checkpoints in the Hugging Face format, and the embedded model."""

from typing import Any

from vlm_confidence_tasks.models.hf_multimodal import HfMultimodalSimple
from vlm_confidence_tasks.sandbox import MODEL_DIR

CONVERTED = {
    "liuhaotian/llava-v1.5-7b": "llava-hf/llava-1.5-7b-hf",
    "liuhaotian/llava-v1.5-13b": "llava-hf/llava-1.5-13b-hf",
    "liuhaotian/llava-v1.6-mistral-7b": "llava-hf/llava-v1.6-mistral-7b-hf",
    "liuhaotian/llava-v1.6-vicuna-7b": "llava-hf/llava-v1.6-vicuna-7b-hf",
    "liuhaotian/llava-v1.6-vicuna-13b": "llava-hf/llava-v1.6-vicuna-13b-hf",
    "liuhaotian/llava-v1.6-34b": "llava-hf/llava-v1.6-34b-hf",
}


class LlavaSimple(HfMultimodalSimple):
    """`hf_multimodal` with LLaVA 1.5 as its default.

    Usage:
        lmms_eval --model llava --model_args pretrained=llava-hf/llava-1.5-7b-hf,load_in_4bit=True
    """

    def __init__(self, pretrained: str = "llava-hf/llava-1.5-7b-hf", **options: Any) -> None:
        """Load the model, with the options of `hf_multimodal`.

        Raises:
            ValueError: The checkpoint is in another format, or an argument is invalid.
        """
        if pretrained.startswith("liuhaotian/"):
            converted = CONVERTED.get(pretrained, "one of " + ", ".join(sorted(CONVERTED.values())))
            raise ValueError(
                f"{pretrained} is in the original LLaVA format, which needs the llava package: "
                f"install that, or use the converted checkpoint pretrained={converted}"
            )
        super().__init__(pretrained, **options)


class Llava(LlavaSimple):
    """The same for chat requests."""

    is_simple = False


class TinyLlavaSimple(LlavaSimple):
    """The embedded model: 2.6 million parameters, trained on images of coloured shapes."""

    def __init__(self, pretrained: str = str(MODEL_DIR), **options: Any) -> None:
        """Load the model that ships with the package, or another in `pretrained`."""
        super().__init__(pretrained, **options)


class TinyLlava(TinyLlavaSimple):
    """The same for chat requests."""

    is_simple = False
