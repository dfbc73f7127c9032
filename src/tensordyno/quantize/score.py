"""How well a Q/DQ graph answers, next to the FP32 network on the same images."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tensordyno.datasets.base import FloatArray, LabelArray
from tensordyno.errors import MissingPackage

if TYPE_CHECKING:
    from onnx import ModelProto

_AT_A_TIME = 16  # images; large networks stay within small memories


class Judgement(NamedTuple):
    """An INT8 network against FP32.

    sqnr_db:   10 log10(sum of squared FP32 logits / sum of squared errors); None when they are identical
    agreement: fraction of images with the same first class
    drop:      FP32 top-1 minus INT8 top-1, as fractions; None without labels
    """

    sqnr_db: float | None
    agreement: float
    drop: float | None

    @property
    def loss(self) -> float:
        """Fraction of top-1 lost, else of images that changed class. More right answers count as none lost:
        on a few hundred images they are luck.
        """
        return 1 - self.agreement if self.drop is None else max(0.0, self.drop)


def judge(
    model: "ModelProto",
    reference_logits: FloatArray,
    images: FloatArray,
    labels: LabelArray | None,
    threads: int = 0,
) -> Judgement:
    """Run a Q/DQ graph on images (n, C, H, W) and compare with FP32 logits (n, classes).

    `threads` 0: as many as there are cores. Raises MissingPackage without onnxruntime.
    """
    found = logits_of(model, images, threads).astype(np.float64)
    expected = reference_logits.astype(np.float64)
    noise = float(np.square(found - expected).sum())
    noise = noise if np.isfinite(noise) else np.finfo(np.float64).max  # NaN is no answer, not a perfect one
    first, first_fp32 = found.argmax(axis=1), expected.argmax(axis=1)
    drop = None
    if labels is not None:
        drop = float(((first_fp32 == labels).sum() - (first == labels).sum()) / len(labels))
    signal = float(np.square(expected).sum()) or np.finfo(np.float32).tiny
    return Judgement(
        sqnr_db=float(10 * np.log10(signal / noise)) if noise else None,
        agreement=float((first == first_fp32).mean()),
        drop=drop,
    )


def logits_of(model: "ModelProto", images: FloatArray, threads: int = 0) -> FloatArray:
    """Logits (n, classes) of images (n, C, H, W) by ONNX Runtime on the CPU."""
    try:
        import onnxruntime
    except ImportError:
        raise MissingPackage("onnxruntime", "onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # a failure is raised; the library need not print it as well
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    starts = range(0, len(images), _AT_A_TIME)
    parts = [session.run(["logits"], {"images": images[i : i + _AT_A_TIME]})[0] for i in starts]
    return np.concatenate(parts).astype(np.float32, copy=False)
