"""Device memory of a known size that runs out as a GPU's does: all at once, with figures."""

from tensordyno.engines.out_of_memory import OutOfMemory
from tensordyno.records.memory import Shortage
from tensordyno.units import bytes_text


class KnownMemory:
    """Of `total_bytes`; 0 is endless. Nothing is really allocated."""

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self.peak_bytes = 0  # most held at once since the last release

    def hold(self, asked_bytes: int) -> None:
        """Hold so many bytes in the place of what was held before. Raises OutOfMemory."""
        total = self._total_bytes
        if total and asked_bytes > total:
            raise OutOfMemory(
                f"The simulated device ran out of memory: {bytes_text(asked_bytes)} were asked for, "
                f"{bytes_text(total)} are free.",
                Shortage(asked_bytes=asked_bytes, free_bytes=total, total_bytes=total),
            )
        self.peak_bytes = max(self.peak_bytes, asked_bytes)

    def release(self) -> None:
        """Give everything back."""
        self.peak_bytes = 0
