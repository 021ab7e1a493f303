"""The embedded model, and what each of its calls of generate() was given."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .conftest import load

Call = dict[str, Any]


class Watched:
    """An adapter that keeps the arguments of each call of generate(), one question a call."""

    def __init__(self, simple: bool = False) -> None:
        self.lm = load(simple, "shared_prefix=false")
        # The harness takes it out of its adapter after an evaluation.
        self.model, self.tokenizer = self.lm.model, self.lm.processor.tokenizer
        self.calls: list[Call] = []
        self.generate = self.model.generate
        self.model.generate = self._keep

    def _keep(self, **arguments: Any) -> Any:
        self.calls.append({k: v for k, v in arguments.items() if k != "stopping_criteria"})
        return self.generate(**arguments)

    @property
    def prompts(self) -> list[str]:
        """The text of each call."""
        return [self.tokenizer.decode(call["input_ids"][0]) for call in self.calls]

    def states(self, text: Call, image: Call) -> dict[str, np.ndarray]:
        """Context, answer and vision for the text of one call and the image of another."""
        pixels = image["pixel_values"]
        with torch.no_grad():
            given = {**text, "pixel_values": pixels}
            plain = self.generate(**given, output_hidden_states=True, return_dict_in_generate=True)
            vision = self.model.get_image_features(pixel_values=pixels).pooler_output[0]
        last = [states[-1][0, -1].double().numpy() for states in plain.hidden_states]
        return {
            "context": last[0],
            # The end token is what the last step chose.
            "answer": np.mean(last[1:], axis=0),
            "vision": vision.double().mean(dim=0).numpy(),
        }
