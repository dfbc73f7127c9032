"""What a worker reports before it measures: the receipt of its engine and the facts of its build."""

import msgspec

from tensordyno.records.base import Record


class Receipt(Record, frozen=True, kw_only=True):
    """Proof that an engine is installed and can run. No receipt, no measurement."""

    engine: str
    version: str
    device: str  # the device's own name: "AMD EPYC 9654", "NVIDIA H200"
    provider: str = ""  # execution provider, backend or plug-in inside the engine
    threads: int | None = None
    build_flags: str = ""  # what the engine says of its own build, one line
    libraries: dict[str, str] = msgspec.field(default_factory=dict)  # name -> version
    settings: dict[str, str] = msgspec.field(default_factory=dict)  # streams, hints, layouts asked for


class ProcessFacts(Record, frozen=True, kw_only=True):
    """The conditions a worker measured under."""

    pid: int
    python: str
    affinity: tuple[int, ...]  # logical CPUs the process may run on
    threads: int
    allocator: str  # "default", "keep", or the preloaded library
    malloc_settings: dict[str, str] = msgspec.field(default_factory=dict)  # environment that changes malloc
    environment: dict[str, str] = msgspec.field(default_factory=dict)  # OMP_*, MKL_*, KMP_*, ... as set


class Built(Record, frozen=True, kw_only=True):
    """A finished build. Times in seconds, apart from each other and outside every measured window."""

    import_s: float  # engine library imported and receipt given
    load_s: float  # model file read into the engine
    compile_s: float  # engine's own compilation for this batch size and precision
    first_inference_s: float  # the first batch, host to host
    size_bytes: int = 0  # of the model file the engine read
    peak_rss_bytes: int = 0  # of the worker process after the first inference
    peak_device_bytes: int | None = (
        None  # held on the device at most until then; None: host memory, or unknown
    )
    reused: bool = False  # the network was loaded for an earlier trial: import_s and load_s are 0
    choices: dict[str, str] = msgspec.field(default_factory=dict)  # decided by measuring: layout, ...
    arithmetic: dict[str, int] = msgspec.field(default_factory=dict)  # number format -> layers with weights

    @property
    def time_to_first_inference_s(self) -> float:
        """From a bare interpreter to the first result, in seconds."""
        return self.import_s + self.load_s + self.compile_s + self.first_inference_s


class Verification(Record, frozen=True, kw_only=True):
    """A build's outputs against the strict FP32 reference on the same inputs."""

    images: int
    sqnr_db: float | None  # 10 log10(signal / error power); None: bit-identical, or not computable
    cosine: float  # mean over images of the cosine of the logits
    top1_agreement: float  # fraction of images with the same first class
    max_abs_error: float
    passed: bool
    reason: str = ""  # why it did not pass


class Accuracy(Record, frozen=True, kw_only=True):
    """Correct answers on labelled images. Fractions and intervals are derived when read."""

    images: int
    top1_correct: int
    top5_correct: int
    dataset: str = ""
    data_hash: str = ""  # of the labelled images used
    unreadable: int = 0
