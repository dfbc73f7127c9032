"""What a spec says, typed and complete with defaults; `rules` checks it, `yaml_file` reads and writes it."""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from tensordyno.records.model import PreprocessingChange
from tensordyno.records.trial import EngineChoice, Measurement
from tensordyno.vocabulary import Boundary, Precision, Task


class SpecPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything in a spec: immutable, and strict about its keys."""


class ModelChoice(SpecPart, frozen=True, kw_only=True):
    """A network, with its own checkpoint, data and preprocessing where they differ from the others'."""

    name: str  # resnet50, torchvision:resnet50, path/to/file.onnx, package.module:function
    weights: str | None = None  # None: the spec's
    dataset: str | None = None  # None: the spec's
    preprocessing: PreprocessingChange | None = None  # key by key over the spec's


class TelemetrySettings(SpecPart, frozen=True, kw_only=True):
    """What is watched beside the stopwatch."""

    interval_s: float = 0.1  # between two readings
    sources: tuple[str, ...] | None = None  # None: every source that can be read here; (): none
    overhead: bool = True  # measure what watching costs, and report it
    regulator_efficiency: float = 1.0  # divide power by this where rails are measured behind a regulator


class Limits(SpecPart, frozen=True, kw_only=True):
    """When the parent loses patience with a worker. Durations in seconds."""

    build_seconds: float = 600.0  # for receipt, load, compile, verification and accuracy together
    burst_grace_seconds: float = 120.0  # for one burst, over and above its own length
    max_alive: int = 8  # workers of a group that hold their build in memory at once


class CalibrationAxes(SpecPart, frozen=True, kw_only=True):
    """How INT8 trials are calibrated: one of them for each of images x methods x seeds."""

    data: str | None = None  # None: the calibration split of the trial's dataset
    images: tuple[str, ...] = ("50x25",)  # batches x images in a batch
    methods: tuple[str, ...] = ("entropy",)  # minmax, percentile, percentile:99.9, mse, entropy, auto
    seeds: tuple[int, ...] = (0,)  # which images are drawn; 0: the first ones in stored order
    keep_fp32: int | Literal["auto"] = 0  # this many of the most sensitive layers
    max_drop: float = 0.003  # of top-1, as a fraction, that "auto" may leave
    first_layer: bool = True  # False: it stays in FP32
    last_layer: bool = True  # False: it stays in FP32


class Product(SpecPart, frozen=True, kw_only=True):
    """A cartesian product of trials. Everything a block may change, complete."""

    task: Task = Task.INFERENCE
    models: tuple[ModelChoice, ...] = ()
    engines: tuple[EngineChoice, ...] = ()
    precisions: tuple[Precision, ...] = (Precision.FP32,)
    batch_sizes: tuple[int, ...] = (1,)
    boundaries: tuple[Boundary, ...] = (Boundary.HOST,)
    devices: tuple[str, ...] = ("cpu",)  # where ranks begin: cuda:0
    gpus: tuple[int, ...] = (1,)  # how many devices of a kind, one process each
    threads: int | None = None  # None: every core this process may use
    allocator: tuple[str, ...] = ("default",)
    dataset: str | None = None  # None: what the model's card says, else synthetic
    weights: str | None = None  # None: packaged if the network has some, else random
    measure: Measurement = Measurement()
    verify_images: int = 32
    accuracy_images: int = 2000
    skip_unreadable: bool = False
    calibration: CalibrationAxes = CalibrationAxes()  # of the INT8 trials
    preprocessing: PreprocessingChange | None = None  # None: each network's own


class Block(SpecPart, frozen=True, kw_only=True):
    """A product of its own: what it leaves unset, the top level of the spec decides."""

    task: Task | UnsetType = UNSET
    models: tuple[ModelChoice, ...] | UnsetType = UNSET
    engines: tuple[EngineChoice, ...] | UnsetType = UNSET
    precisions: tuple[Precision, ...] | UnsetType = UNSET
    batch_sizes: tuple[int, ...] | UnsetType = UNSET
    boundaries: tuple[Boundary, ...] | UnsetType = UNSET
    devices: tuple[str, ...] | UnsetType = UNSET
    gpus: tuple[int, ...] | UnsetType = UNSET
    threads: int | UnsetType | None = UNSET
    allocator: tuple[str, ...] | UnsetType = UNSET
    dataset: str | UnsetType | None = UNSET
    weights: str | UnsetType | None = UNSET
    measure: Measurement | UnsetType = UNSET
    verify_images: int | UnsetType = UNSET
    accuracy_images: int | UnsetType = UNSET
    skip_unreadable: bool | UnsetType = UNSET
    calibration: CalibrationAxes | UnsetType = UNSET
    preprocessing: PreprocessingChange | UnsetType | None = UNSET

    def changes(self) -> dict[str, Any]:
        """The keys this block sets, with their values."""
        fields = {f: getattr(self, f) for f in self.__struct_fields__}
        return {f: value for f, value in fields.items() if value is not UNSET}


class Spec(Product, frozen=True, kw_only=True):
    """All that a run is asked for. Without blocks the top level is one product, else their defaults."""

    name: str = ""
    purpose: str = ""  # prose, shown in the report
    seed: int = 0
    baseline: str | None = None  # engine that ratios refer to; None: the first one
    latency_bound_s: float | None = None
    telemetry: TelemetrySettings = TelemetrySettings()
    limits: Limits = Limits()
    interleave: bool = True  # measure the trials of a group in rounds, one burst each
    largest_batch: bool = True  # where a sweep runs out of device memory, find the largest batch that fits
    ceilings: bool = True  # measure what the GPUs reach with plain matrix products and copies
    blocks: tuple[Block, ...] = ()

    def products(self) -> tuple[Product, ...]:
        """Every cartesian product of the spec, complete: one a block, or the top level alone."""
        return tuple(product for _, product in self.placed_products())

    def placed_products(self) -> Iterator[tuple[int | None, Product]]:
        """The products with the index of their block; None for the top level."""
        top = {f: getattr(self, f) for f in Product.__struct_fields__}
        if not self.blocks:
            yield None, Product(**top)
        for index, block in enumerate(self.blocks):
            yield index, Product(**(top | block.changes()))
