"""What the parts of this folder hand to each other, and what an engine gets in the end."""

from enum import StrEnum
from pathlib import Path

import msgspec

from tensordyno.records.calibration import CalibrationTable

LEVELS = 127  # INT8 is used symmetrically: scale = threshold / 127, zero point 0


class Form(StrEnum):
    """How symmetric activations are written. The steps are the same; engines differ in what is fast.

    UINT8:     zero point 128, int32 biases. ONNX Runtime on x86 runs it three times faster than INT8. Relu
               and Clip are done on the integers, and average pools are convolutions.
    INT8:      zero point 0, float32 biases rounded to the same grid. TensorRT and forge want it; OpenVINO
               2026.4 answers wrongly to it behind padded pools.
    RECTIFIED: uint8 with zero point 0 for tensors that cannot be negative and 128 for the others, int32
               biases. OpenVINO runs it up to a tenth faster than UINT8.

    UINT8 and INT8 compute the same numbers. In RECTIFIED a tensor that cannot be negative is clipped at
    twice its threshold, not at the threshold; all else is the same.
    """

    UINT8 = "uint8"
    INT8 = "int8"
    RECTIFIED = "rectified"


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Which operations of a graph run in INT8, and which tensors need a range for that.

    `layers` are nodes with weights (Conv, Gemm, MatMul), in graph order. `groups` partition the
    activation tensors that get Q/DQ: the members of a group share one range (the inputs and the output
    of a concat, both sides of a max-pool). `repeats` are the members that hold no values of their own: the
    inputs of a concat stand in its result, the result of a max-pool in its input. `kept` says of every
    other node with weights why it is FP32, and `other_fp32` counts the remaining FP32 nodes by operation.
    """

    layers: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    kept: dict[str, str]
    other_fp32: dict[str, int]
    repeats: frozenset[str] = frozenset()

    @property
    def tensors(self) -> tuple[str, ...]:
        """Every activation tensor that gets Q/DQ."""
        return tuple(name for group in self.groups for name in group)


class QuantizedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A network calibrated once for all INT8 engines, as files of one folder."""

    folder: Path
    table: CalibrationTable

    def onnx(self, form: Form) -> Path:
        """The Q/DQ file in that form: `images` (N, C, H, W) float32 to `logits` (N, classes) float32."""
        return self.folder / f"model.{form}.onnx"
