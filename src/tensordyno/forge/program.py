"""What forge runs: the operations of a simplified graph with a place in device memory for every tensor.

Images lie as (batch, height, width, channels). A tensor may be some of the channels of a wider storage: that
is how branches write their part of a concatenation in place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tensordyno.forge.graph import Node
from tensordyno.vocabulary import Precision

CHANNEL_GRAIN = 16  # a pixel's channels are padded to whole groups of these: 16-byte loads of int8


class Format(StrEnum):
    """How one element is stored."""

    INT8 = "int8"
    UINT8 = "uint8"
    FP16 = "fp16"
    BF16 = "bf16"
    FP32 = "fp32"

    @property
    def width_bytes(self) -> int:
        """Bytes of one element."""
        return {"int8": 1, "uint8": 1, "fp16": 2, "bf16": 2, "fp32": 4}[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Where a tensor lies: `channels` of the `pitch` elements that each pixel has, from `first` on.

    Elements of the pitch that belong to no tensor hold anything, NaN too: whoever reads masks them.
    Features, without height and width, are an image of 1 x 1.
    """

    storage: str
    format: Format
    height: int
    width: int
    channels: int
    pitch: int
    first: int = 0
    scale: float | None = None  # of integers: real value = scale * integer

    @property
    def pixels(self) -> int:
        """Of one image."""
        return self.height * self.width

    @property
    def is_whole(self) -> bool:
        """Whether nobody else writes into these pixels."""
        return self.first == 0 and self.pitch < self.channels + CHANNEL_GRAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One node of the graph and where its tensors lie.

    `precision` is that of its arithmetic: INT8 where integers are multiplied, else the engine's format of
    real numbers. It says how a product of FP32 storage is meant, strictly (FP32) or by matrix units (TF32).
    """

    node: Node
    inputs: tuple[View, ...]
    output: View
    precision: Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """All operations in order. `storages` gives the bytes of each storage for one image.

    `input` is where the quantised or converted image is put, (height, width, 3) without padding: pitch 3;
    `output` holds the logits, FP32.
    """

    input: View
    output: View
    operations: tuple[Operation, ...]
    storages: Mapping[str, int]
