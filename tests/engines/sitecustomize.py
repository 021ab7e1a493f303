"""Lets torchvision be imported beside a torch without CUDA: on PYTHONPATH of these tests.

Its wheel on the package index is linked against CUDA, so that its compiled operators cannot be
loaded; two of them are declared here, in every process, before it is imported.
"""

from __future__ import annotations

import importlib.abc
import sys
from typing import Any


class _BeforeTorchvision(importlib.abc.MetaPathFinder):
    library: Any = None

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "torchvision" and self.library is None:
            import torch

            self.library = torch.library.Library("torchvision", "DEF")
            for operator in ("nms", "qnms"):
                self.library.define(
                    f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                )


sys.meta_path.insert(0, _BeforeTorchvision())
