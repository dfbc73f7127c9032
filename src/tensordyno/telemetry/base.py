"""The contract of a telemetry source: channels it can read here, and one reading of all of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from tensordyno.catalogue import Catalogue
from tensordyno.records.reading import Channel

SOURCES = Catalogue("telemetry", "sensor", besides=frozenset({"sampler", "nvidia_smi_csv"}))


class SensorUnavailable(Exception):
    """This source cannot be read here; the message is the reason a reader sees."""


class Source(ABC):
    """A group of sensors read together. Each member module defines `MEMBER = <the class>`."""

    name: ClassVar[str]

    @abstractmethod
    def open(self) -> tuple[Channel, ...]:
        """Find what can be read here; the order is that of `read`.

        Raises SensorUnavailable with the reason when nothing can.
        """

    @abstractmethod
    def read(self) -> Sequence[float]:
        """One value for each channel, in the channel's unit; NaN where a single one failed."""

    def watch(self, pids: dict[int, str]) -> tuple[Channel, ...] | None:
        """Processes to follow from now on, pid -> label.

        Returns the new channels, or None from a source that follows no processes.
        """
        return None

    def close(self) -> None:  # noqa: B027  (few hold anything)
        """Release what the source holds."""
