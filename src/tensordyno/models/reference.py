"""The reference answers that every build is compared with: strict FP32 on the CPU."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tensordyno.errors import MissingPackage

if TYPE_CHECKING:
    from torch import nn

FloatArray = NDArray[np.float32]

_BATCH = 8  # images at a time, so that deep networks stay within small memories


def torch_logits(module: "nn.Module", images: FloatArray) -> FloatArray:
    """Logits (n, classes) of images (n, C, H, W) by eager PyTorch in IEEE single precision."""
    import torch

    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # no TF32 and no bfloat16 in its place
    try:
        with torch.inference_mode():
            parts = [module(torch.from_numpy(part)).numpy() for part in _parts(images)]
    finally:
        torch.set_float32_matmul_precision(precision)
    return np.concatenate(parts).astype(np.float32, copy=False)


def onnx_logits(model: str | bytes, images: FloatArray) -> FloatArray:
    """Logits (n, classes) of an ONNX file (or its bytes) by ONNX Runtime with no graph optimisation.

    So the layers of a Q/DQ file compute in float32, from values that were rounded to INT8.
    Raises MissingPackage without onnxruntime.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MissingPackage("onnxruntime", "onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4  # a failure is raised; the library need not print it as well
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    parts = [session.run(["logits"], {"images": part})[0] for part in _parts(images)]
    return np.concatenate(parts).astype(np.float32, copy=False)


def _parts(images: FloatArray) -> list[FloatArray]:
    images = np.ascontiguousarray(images, dtype=np.float32)
    return [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
