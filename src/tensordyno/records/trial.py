"""What one trial is asked to do: one build of one network, measured at one boundary."""

from typing import Any

import msgspec

from tensordyno.device import device_index, device_kind
from tensordyno.records.base import Record
from tensordyno.records.calibration import Calibration
from tensordyno.records.model import PreprocessingChange
from tensordyno.vocabulary import Boundary, Precision, Task

_ENERGY_WINDOW_S = 5.0  # shorter ones are not resolved by the sensors (METHOD.md)


class Measurement(Record, frozen=True, kw_only=True):
    """How long and how surely to measure. All durations in seconds."""

    min_seconds: float = 2.0  # measured time before the stopping rule may end a trial
    max_seconds: float = 30.0  # total time in the measuring phase, warm-up and repeats included
    target_half_width: float = 0.01  # of the 95 % interval of throughput, relative
    burst_seconds: float = 0.4  # one uninterrupted stretch between two spin probes
    warmup_seconds: float = 0.5  # least warm-up; it goes on until the window medians settle
    max_probe_loss: float = 0.06  # a burst whose spin probe lost more is repeated
    clock: str = "real"  # "fake": the null engine on a clock that moves only when told
    energy_seconds: float | None = None  # one unbroken window for the energy; None: 5 on a GPU, else none

    def energy_window_s(self, device: str) -> float:
        """Length of the energy window on this device in seconds; 0: energy comes from the bursts alone."""
        usual = _ENERGY_WINDOW_S if device.startswith("cuda") else 0.0
        return usual if self.energy_seconds is None else self.energy_seconds


class EngineChoice(Record, frozen=True, kw_only=True):
    """An engine with its options, and the interpreter of its own environment if it has one."""

    name: str
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    python: str | None = None  # path of a Python interpreter; None: the one that runs dyno

    @property
    def label(self) -> str:
        """The name a reader sees: 'openvino(hint=throughput)'."""
        if not self.options:
            return self.name
        inside = ",".join(f"{k}={_typed(v)}" for k, v in sorted(self.options.items()))
        return f"{self.name}({inside})"


def _typed(value: object) -> str:
    """An option as it is typed: true, not True."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class Trial(Record, frozen=True, kw_only=True):
    """One build of one network, measured at one boundary; the unit of failure and of resuming."""

    id: str  # readable and unique within a plan; names the files of the trial
    task: Task = Task.INFERENCE
    model: str  # resnet50, torchvision:resnet50, path/to/file.onnx, package.module:function
    engine: EngineChoice
    precision: Precision
    batch_size: int
    boundary: Boundary = Boundary.HOST
    device: str = "cpu"
    devices: int = 1
    nodes: int = 1
    dataset: str = "synthetic"  # synthetic, fashion, a folder, or an .npz file
    weights: str | None = None  # checkpoint file; None: packaged if the network has some, else random
    seed: int = 0
    threads: int | None = None  # None: every core this process may use
    allocator: str = "default"  # or "keep": glibc told to keep freed memory (see METHOD.md)
    verify_images: int = 32  # compared with the strict FP32 reference
    accuracy_images: int = 2000  # most labelled images used for top-1 and top-5
    skip_unreadable: bool = False
    calibration: Calibration | None = None  # of an INT8 trial; None for every other precision
    hold_out: bool = False  # a dataset without a calibration split keeps a fifth of itself for one
    preprocessing: PreprocessingChange | None = None  # None: the network's own, unchanged
    measurement: Measurement = Measurement()
    group: str = ""  # trials of one group are interleaved in rounds


class Rank(Record, frozen=True, kw_only=True):
    """One of the processes that measure a trial together, one a device."""

    index: int = 0
    size: int = 1  # how many there are
    bind: bool = True  # takes its share of the cores; False: whoever launched it has decided that

    def device_of(self, trial: Trial) -> str:
        """The device of this rank: cuda:2 is rank 2's of a trial that begins at cuda:0."""
        if device_kind(trial.device) != "cuda":
            return trial.device
        return f"cuda:{device_index(trial.device) + self.index}"


ALONE = Rank()


def build_key(trial: Trial) -> Trial:
    """What trials share that one loaded network can serve: all but batch size, boundary and stopwatch."""
    return msgspec.structs.replace(
        trial, id="", group="", batch_size=0, boundary=Boundary.HOST, measurement=Measurement()
    )


class Skip(Record, frozen=True, kw_only=True):
    """A combination that was asked for and planned away, with the reason a reader sees."""

    trial: Trial
    reason: str


class Plan(Record, frozen=True, kw_only=True):
    """Everything a run will do, in order, and everything it will not do, with reasons."""

    trials: tuple[Trial, ...]
    skips: tuple[Skip, ...] = ()
