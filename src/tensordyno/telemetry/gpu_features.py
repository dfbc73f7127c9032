"""What a GPU is, as its driver tells through NVML: the features table of a device page."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from tensordyno.telemetry.base import SensorUnavailable
from tensordyno.telemetry.nvml_library import start_nvml, text
from tensordyno.units import bytes_text, ranges_text, significant

# FP32 lanes of a multiprocessor by compute capability (CUDA C++ Programming Guide, arithmetic throughput)
_LANES = {
    192: ((3, 0), (3, 5), (3, 7)),
    64: ((6, 0), (7, 0), (7, 2), (7, 5), (8, 0)),
    128: ((5, 0), (5, 2), (5, 3), (6, 1), (6, 2), (8, 6), (8, 7), (8, 9), (9, 0), (10, 0), (10, 3), (12, 0)),
}
_COMPUTE_MODES = {0: "default", 1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}
_AFFINITY_WORDS = 64  # of 64 bits: 4,096 CPUs

Pairs = Iterator[tuple[str, str]]


class GpuFeatures(NamedTuple):
    """One GPU. `features` are texts with units under the names a reader sees; what is unknown is left out."""

    device: str  # "gpu0": NVML's order, as everywhere in telemetry
    name: str
    features: dict[str, str]


def gpu_features(library: Any | None = None) -> tuple[GpuFeatures, ...]:
    """Every GPU that the driver lets us ask; `library` is an NVML binding.

    Raises SensorUnavailable with the reason when there is no driver that answers.
    """
    nvml = start_nvml(library)
    try:
        found = (_features(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
        return tuple(features for features in found if features)
    except nvml.NVMLError as wrong:
        raise SensorUnavailable(f"the NVIDIA driver does not answer: {wrong}") from wrong
    finally:
        nvml.nvmlShutdown()


def _features(nvml: Any, index: int) -> GpuFeatures | None:
    try:
        gpu = nvml.nvmlDeviceGetHandleByIndex(index)
        name = text(nvml.nvmlDeviceGetName(gpu))
    except nvml.NVMLError:  # lost, or somebody else's
        return None
    ask = _Ask(nvml, gpu)
    return GpuFeatures(f"gpu{index}", name, {what: told for part in _PARTS for what, told in part(ask)})


class _Ask:
    """Questions to one GPU; an answer that driver, GPU or binding do not have is None."""

    def __init__(self, nvml: Any, gpu: Any) -> None:
        self.nvml = nvml
        self._gpu = gpu

    def __call__(self, what: str, *arguments: Any) -> Any:
        """The answer of nvmlDeviceGet`what`."""
        with suppress(AttributeError, self.nvml.NVMLError):
            return getattr(self.nvml, f"nvmlDeviceGet{what}")(self._gpu, *arguments)
        return None

    def system(self, what: str) -> Any:
        """The answer of nvmlSystemGet`what`."""
        with suppress(AttributeError, self.nvml.NVMLError):
            return getattr(self.nvml, f"nvmlSystemGet{what}")()
        return None


def _processor(ask: _Ask) -> Pairs:
    capability, cores = ask("CudaComputeCapability"), ask("NumGpuCores")
    if capability:
        yield "Compute capability", f"{capability[0]}.{capability[1]}"
    lanes = next((n for n, members in _LANES.items() if capability and tuple(capability) in members), None)
    if cores and lanes:
        yield "Multiprocessors", f"{cores // lanes:,}"
    if cores:
        yield "Cores", f"{cores:,}"
    yield from _clock(ask, "Largest SM clock", "NVML_CLOCK_SM")


def _memory(ask: _Ask) -> Pairs:
    if size := ask("MemoryInfo"):
        yield "Memory", bytes_text(size.total)
    yield from _clock(ask, "Largest memory clock", "NVML_CLOCK_MEM")
    bits, clock = ask("MemoryBusWidth"), _max_clock_hz(ask, "NVML_CLOCK_MEM")
    if bits:
        yield "Memory bus", f"{bits:,} bit"
    if bits and clock:
        # two transfers a cycle of the clock that NVML tells, for HBM as for GDDR
        yield "Memory bandwidth, theoretical", f"{significant(2 * clock * bits / 8 / 1e9)} GB/s"
    ecc = ask("EccMode")
    if ecc is not None:
        yield "ECC", _switch(ecc[0])


def _link(ask: _Ask) -> Pairs:
    for name, kind in (("PCIe, at most", "Max"), ("PCIe, now", "Curr")):
        generation, width = ask(f"{kind}PcieLinkGeneration"), ask(f"{kind}PcieLinkWidth")
        if generation and width:
            yield name, f"generation {generation}, {width} lanes"
    if place := ask("PciInfo"):
        yield "PCI address", text(place.busId)


def _power(ask: _Ask) -> Pairs:
    if limit := ask("EnforcedPowerLimit"):
        yield "Power limit", _watts(limit)
    if default := ask("PowerManagementDefaultLimit"):
        yield "Power limit, default", _watts(default)
    if bounds := ask("PowerManagementLimitConstraints"):
        yield "Power limit, settable", f"{_watts(bounds[0])} to {_watts(bounds[1])}"


def _modes(ask: _Ask) -> Pairs:
    mig = ask("MigMode")
    if mig is not None:
        yield "MIG", "on (split into slices)" if mig[0] else "off"
    mode = ask("ComputeMode")
    if mode in _COMPUTE_MODES:
        yield "Compute mode", _COMPUTE_MODES[mode]
    persistence = ask("PersistenceMode")
    if persistence is not None:
        yield "Persistence mode", _switch(persistence)


def _software(ask: _Ask) -> Pairs:
    if driver := ask.system("DriverVersion"):
        yield "Driver", text(driver)
    if cuda := ask.system("CudaDriverVersion_v2"):
        yield "CUDA of the driver", f"{cuda // 1000}.{cuda % 1000 // 10}"
    if vbios := ask("VbiosVersion"):
        yield "VBIOS", text(vbios)


def _place(ask: _Ask) -> Pairs:
    node = ask("NumaNodeId")
    if node is not None and 0 <= node < 2**31:
        yield "NUMA node", str(node)
    words = ask("CpuAffinity", _AFFINITY_WORDS)
    cpus = [64 * i + bit for i, word in enumerate(words or ()) for bit in range(64) if word >> bit & 1]
    if cpus:
        yield "CPUs nearby", ranges_text(cpus)
    if uuid := ask("UUID"):
        yield "UUID", text(uuid)


_PARTS: tuple[Callable[[_Ask], Pairs], ...] = (
    _processor,
    _memory,
    _link,
    _power,
    _modes,
    _software,
    _place,
)


def _max_clock_hz(ask: _Ask, kind: str) -> float | None:
    megahertz = ask("MaxClockInfo", getattr(ask.nvml, kind))
    return 1e6 * megahertz if megahertz else None


def _clock(ask: _Ask, name: str, kind: str) -> Pairs:
    if clock := _max_clock_hz(ask, kind):
        yield name, f"{clock / 1e6:,.0f} MHz"


def _switch(state: int) -> str:
    return "on" if state else "off"


def _watts(milliwatts: float) -> str:
    return f"{milliwatts / 1000:,.0f} W"
