"""PCIe traffic of GPUs: NVML needs 20 ms for each answer, so a thread of its own does the waiting."""

import math
from collections.abc import Sequence
from threading import Event, Thread
from typing import Any

DIRECTIONS = ("pcie_tx", "pcie_rx")  # as seen by the GPU: sent to the host, received from it


class PcieMeter:
    """The latest 20 ms window of each GPU and direction, in bytes per second.

    It measures one round (every GPU, both directions) after each `latest`, so it rests when nobody
    reads. The bytes are those on the link, protocol included: 1.08 times the payload of large copies
    on an H200, where the same run showed that NVML's "KB" is 1000 bytes. NVML's byte counters
    (NVML_FI_DEV_PCIE_COUNT_TX_BYTES, _RX_BYTES) are no way out: they have 32 bits, and a link of
    generation 5 wraps them within 80 ms.
    """

    def __init__(self, nvml: Any, gpus: Sequence[Any]) -> None:
        self._nvml = nvml
        self._gpus = gpus
        self._latest = [(math.nan, math.nan)] * len(gpus)
        self._wanted = Event()
        self._stopping = False
        self._thread = Thread(target=self._serve, name="pcie-meter", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def latest(self) -> list[tuple[float, float]]:
        """(sent, received) of each GPU in bytes per second; NaN before the first round or if refused."""
        self._wanted.set()
        return list(self._latest)

    def measure(self) -> None:
        """One round, 40 ms a GPU."""
        for i, gpu in enumerate(self._gpus):
            if self._stopping:
                return
            sent = self._ask(gpu, self._nvml.NVML_PCIE_UTIL_TX_BYTES)
            self._latest[i] = (sent, self._ask(gpu, self._nvml.NVML_PCIE_UTIL_RX_BYTES))

    def close(self) -> None:
        """Stop, and wait for the question under way."""
        self._stopping = True
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join()

    def _serve(self) -> None:
        while self._wanted.wait() and not self._stopping:
            self._wanted.clear()
            self.measure()

    def _ask(self, gpu: Any, direction: int) -> float:
        try:
            return 1e3 * float(self._nvml.nvmlDeviceGetPcieThroughput(gpu, direction))  # KB/s
        except self._nvml.NVMLError:
            return math.nan
