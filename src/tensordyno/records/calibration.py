"""How a network is calibrated for INT8: what is asked, the table that comes of it, and its summary."""

from typing import Literal

import msgspec

from tensordyno.records.base import Record


class Calibration(Record, frozen=True, kw_only=True):
    """What an INT8 trial asks for. The papers calibrate on 50 batches of 25 images."""

    data: str | None = None  # images to calibrate on; None: the calibration split of the trial's dataset
    batches: int = 50
    batch_size: int = 25  # images read at a time; the ranges do not depend on it
    method: str = "entropy"  # minmax, percentile, percentile:99.9, mse, entropy, auto
    seed: int = 0  # which images are drawn; 0: the first ones in stored order
    keep_fp32: int | Literal["auto"] = 0  # this many of the most sensitive layers stay in FP32
    max_drop: float = 0.003  # "auto" keeps layers until the loss of top-1 is below this fraction
    first_layer: bool = True  # False: the first convolution stays in FP32
    last_layer: bool = True  # False: the last fully connected layer stays in FP32

    @property
    def images(self) -> int:
        """Most images that are read."""
        return self.batches * self.batch_size


class TensorRange(Record, frozen=True, kw_only=True):
    """One activation tensor. INT8 covers -threshold..threshold in steps of threshold / 127."""

    threshold: float
    low: float  # smallest value seen
    high: float  # largest value seen


class LayerFacts(Record, frozen=True, kw_only=True):
    """One operation with weights: in INT8, or in FP32 for a reason."""

    name: str
    op: str  # Conv, Gemm, MatMul
    int8: bool
    reason: str = ""  # why it stays in FP32
    sqnr_db: float | None = None  # of the logits when only this layer is in INT8; None: not measured


class MethodScore(Record, frozen=True, kw_only=True):
    """How well one method did on the held-back slice of the calibration images."""

    method: str
    images: int
    sqnr_db: float | None  # of the logits against FP32
    agreement: float  # fraction of images with the same first class as FP32
    drop: float | None  # FP32 top-1 minus INT8 top-1, as fractions; None without labels


class CalibrationTable(Record, frozen=True, kw_only=True):
    """Everything a Q/DQ file is written from; a JSON file of its own, reused by every engine and device."""

    model: str
    model_hash: str  # of the FP32 graph, weights included
    data: str  # the dataset's name
    data_hash: str  # of the images in the order they were read
    images: int
    batch_size: int
    seed: int
    method: str  # the one used, never "auto"
    asked_method: str
    ranges: dict[str, TensorRange]
    layers: tuple[LayerFacts, ...]
    other_fp32: dict[str, int] = msgspec.field(default_factory=dict)  # operation kind -> nodes left in FP32
    tried: tuple[MethodScore, ...] = ()
    seconds: float = 0.0  # that the pass over the images took
    warnings: tuple[str, ...] = ()  # sentences for the reader, each ending with its [slug]


class CalibrationFacts(Record, frozen=True, kw_only=True):
    """The summary of a table that every INT8 outcome carries."""

    data: str
    data_hash: str
    images: int
    batch_size: int
    seed: int
    method: str
    asked_method: str
    int8_layers: int
    fp32_layers: tuple[LayerFacts, ...] = ()  # layers with weights that stayed in FP32
    sensitivity: tuple[LayerFacts, ...] = ()  # every layer measured, most sensitive first
    tried: tuple[MethodScore, ...] = ()
    seconds: float = 0.0
    reused: bool = False  # the table came from the cache: no image was run
    warnings: tuple[str, ...] = ()


def facts_of(table: CalibrationTable, *, reused: bool) -> CalibrationFacts:
    """The summary of a table."""
    measured = [layer for layer in table.layers if layer.sqnr_db is not None]
    return CalibrationFacts(
        data=table.data,
        data_hash=table.data_hash,
        images=table.images,
        batch_size=table.batch_size,
        seed=table.seed,
        method=table.method,
        asked_method=table.asked_method,
        int8_layers=sum(layer.int8 for layer in table.layers),
        fp32_layers=tuple(layer for layer in table.layers if not layer.int8),
        sensitivity=tuple(sorted(measured, key=lambda layer: layer.sqnr_db or 0.0)),
        tried=table.tried,
        seconds=table.seconds,
        reused=reused,
        warnings=table.warnings,
    )
