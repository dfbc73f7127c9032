"""Forge: compiles a float32 or Q/DQ ONNX classifier to one engine for an NVIDIA GPU.

    from tensordyno import forge

    engine = forge.build("resnet50.int8.onnx", "int8", batch_sizes=(1, 32, 256))
    engine.save("resnet50.engine")

    engine = forge.load("resnet50.engine")
    logits = engine(images)             # float32 (n, classes), a PyTorch tensor on the GPU
    scores, classes = engine.top_k(images, 5)

Importing it loads nothing; PyTorch and Triton are loaded by the first call.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensordyno.forge.engine import Engine
    from tensordyno.forge.engine_build import build, load

__all__ = ["Engine", "build", "load"]

_HOMES = {"Engine": "engine", "build": "engine_build", "load": "engine_build"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
