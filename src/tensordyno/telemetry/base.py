"""The contract of a telemetry source: channels it can read here, and one reading of all of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

from tensordyno.catalogue import Catalogue
from tensordyno.records.reading import Channel, DeviceFacts

_SHARED_CODE = frozenset(
    {
        "sampler",
        "gpu_features",
        "gpu_state",
        "kernel_files",
        "gpu_neighbours",
        "nvml_fields",
        "nvml_library",
        "pcie_meter",
        "nvidia_smi_csv",
        "machine",
        "machine_cpu",
        "machine_host",
    }
)
SOURCES = Catalogue("telemetry", "sensor", besides=_SHARED_CODE)


REPLAY = "replay"  # the one source that is named with a file


class SensorUnavailable(Exception):
    """This source cannot be read here; the message is the reason a reader sees."""


class Source(ABC):
    """A group of sensors read together. Each member module defines `MEMBER = <the class>`.

    Life cycle: open once, then watch and read any number of times, then close (twice is harmless).
    """

    name: str  # of the source that the channels belong to: the file's name, save for a replay
    period: int = 1  # read in every n-th sweep; what changes slowly need not cost anything in between

    @abstractmethod
    def open(self) -> tuple[Channel, ...]:
        """Find what can be read here; the order is that of `read`.

        Raises SensorUnavailable with the reason when nothing can.
        """

    @abstractmethod
    def read(self) -> Sequence[float]:
        """One value for each channel, in the channel's unit; NaN where a single one failed."""

    def watch(self, pids: dict[int, str]) -> tuple[Channel, ...] | None:
        """Processes to follow from now on besides the living ones already followed, pid -> label.

        Returns all channels of the source as the next `read` orders them, or None from a source whose
        channels do not depend on processes.
        """
        return None

    def devices(self) -> tuple[DeviceFacts, ...]:
        """What does not change about the devices that the channels name. After `open`."""
        return ()

    def lacking(self) -> tuple[str, ...]:
        """Reasons for single quantities that this source reads elsewhere but not here. After `open`."""
        return ()

    def close(self) -> None:  # noqa: B027  (few hold anything)
        """Release what the source holds."""


def open_sources(names: Iterable[str] | None = None) -> list[Source]:
    """New sources by name, not yet opened: a Sampler does that. None means all but the replay.

    `replay:FILE` plays a recording (one of a run's readings/*.jsonl) as if it happened now. Raises
    UnknownName with the nearest names.
    """
    wanted = [name for name in SOURCES.names() if name != REPLAY] if names is None else names
    return [_new_source(name) for name in wanted]


def _new_source(text: str) -> Source:
    name, colon, recording = text.partition(":")
    kind = SOURCES.module(name).MEMBER
    source: Source = kind(Path(recording).expanduser()) if colon else kind()
    return source
