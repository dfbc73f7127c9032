import math
from threading import Event

import pynvml
from fake_nvml import H200, FakeNvml, lacking

from tensordyno.telemetry.pcie_meter import PcieMeter

TIMEOUT_S = 60  # of a wait that ends at once unless the meter is broken


class Announcing(FakeNvml):
    """Says when a round is over."""

    def __init__(self, *gpus):
        super().__init__(*gpus)
        self.asked = Event()

    def nvmlDeviceGetPcieThroughput(self, gpu, direction):
        if direction == pynvml.NVML_PCIE_UTIL_RX_BYTES:
            self.asked.set()
        return 1000 * (direction + 1)


def test_a_reading_asks_for_the_round_that_the_next_one_tells():
    library = Announcing(H200)
    meter = PcieMeter(library, [0])
    meter.start()
    assert not library.asked.is_set()  # it rests until somebody reads
    assert all(math.isnan(value) for value in meter.latest()[0])
    assert library.asked.wait(TIMEOUT_S)
    meter.close()
    assert meter.latest() in ([(1e6, 2e6)], [(math.nan, math.nan)])


def test_values_are_in_bytes_per_second():
    meter = PcieMeter(FakeNvml(H200, lacking("nvmlDeviceGetPcieThroughput")), [0, 1])
    meter.measure()
    first, second = meter.latest()
    assert first == (789_000, 665_000)
    assert all(math.isnan(value) for value in second)


def test_a_meter_that_never_started_can_be_closed():
    meter = PcieMeter(FakeNvml(H200), [0])
    meter.close()
    meter.measure()
    assert math.isnan(meter.latest()[0][0])
