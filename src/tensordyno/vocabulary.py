"""The field's words as enums: what a trial can be asked for and how it can end."""

from enum import StrEnum


class Precision(StrEnum):
    """Number format of the arithmetic; `fp32` is strict IEEE single, with TF32 off everywhere."""

    FP32 = "fp32"
    TF32 = "tf32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"
    FP8 = "fp8"


class Task(StrEnum):
    """What a trial does with the network."""

    INFERENCE = "inference"
    ACCURACY = "accuracy"  # right answers only, no stopwatch
    TRAINING = "training"


class Boundary(StrEnum):
    """Where the stopwatch starts and stops.

    HOST:   input array in host memory -> result in host memory.
    DEVICE: input already on the device -> result left there, synchronised.
    """

    HOST = "host"
    DEVICE = "device"


class WeightsKind(StrEnum):
    """Where the weights came from; accuracy means nothing for RANDOM."""

    RANDOM = "random"
    CHECKPOINT = "checkpoint"
    PACKAGED = "packaged"
    EMBEDDED = "embedded"  # inside the model's own file (ONNX)


class Verdict(StrEnum):
    """How a trial ended. Only VALID trials are ranked."""

    VALID = "valid"
    UNSTABLE = "unstable"  # measured, but the stopping rule was not met in time
    INVALID = "invalid"  # measured or built, but the answer or the label is wrong
    SKIPPED = "skipped"  # planned away: this engine cannot do it here
    UNSUPPORTED = "unsupported"  # the engine refused while building
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"  # stopped by the user; --resume runs it again

    @property
    def is_measured(self) -> bool:
        """Whether the trial ended with numbers that a reader may look at."""
        return self in (Verdict.VALID, Verdict.UNSTABLE)

    @property
    def is_failure(self) -> bool:
        """Whether something broke, as opposed to being refused or planned away."""
        return self in (
            Verdict.INVALID,
            Verdict.OUT_OF_MEMORY,
            Verdict.CRASHED,
            Verdict.TIMED_OUT,
        )
