"""NVIDIA GPUs through NVML: clocks, power, energy, memory, utilisation, temperature, PCIe, neighbours."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from tensordyno.records.reading import Channel, DeviceFacts
from tensordyno.telemetry.base import SensorUnavailable, Source
from tensordyno.telemetry.gpu_neighbours import Neighbours
from tensordyno.telemetry.nvml_fields import QUESTIONS, Question, Values
from tensordyno.telemetry.nvml_library import gpu_handles, start_nvml, text
from tensordyno.telemetry.pcie_meter import DIRECTIONS, PcieMeter


class NvmlSource(Source):
    """Every GPU that the driver shows; device is "gpu0" in nvidia-smi's order.

    CUDA_VISIBLE_DEVICES is not obeyed: NVML does not know it, and what the neighbouring GPUs draw
    belongs to the facts of a run. CUDA's numbers may differ from ours; `devices` gives each GPU's
    UUID and PCI address, which do not. A quantity that one GPU lacks reads NaN.

    power          as nvidia-smi's power.draw: a one-second average from Ampere on (except GA100),
                   the momentary value before; power_average and power_instant say which they are
    energy         joules since the driver was loaded (from Volta on)
    pcie_tx, _rx   bytes per second in the latest window of 20 ms, see PcieMeter
    power_limit    the enforced one: the least of the board's, the driver's and the user's
    other_processes  on the GPU besides the watched ones and ours; asked for every tenth sweep
    throttle_reasons  bit mask, nvmlClocksEventReasons in nvml.h
    """

    name = "nvml"

    def __init__(self, library: Any | None = None) -> None:
        self._library = library
        self._nvml: Any | None = None
        self._gpus: list[_Gpu] = []

    def open(self) -> tuple[Channel, ...]:
        """The same channels for each GPU."""
        self._nvml = start_nvml(self._library)
        handles = gpu_handles(self._nvml)
        if not handles:
            self.close()
            raise SensorUnavailable("the NVIDIA driver shows no GPU")
        self._gpus = [_Gpu(self._nvml, handle, f"gpu{i}") for i, handle in enumerate(handles)]
        self._meter = PcieMeter(self._nvml, handles)
        self._meter.start()
        self._neighbours = Neighbours(self._nvml, handles)
        return tuple(channel for gpu in self._gpus for channel in _channels(gpu.device))

    def read(self) -> Sequence[float]:
        """NaN for each quantity that could not be read."""
        values: list[float] = []
        around = zip(self._gpus, self._meter.latest(), self._neighbours.counts(), strict=True)
        for gpu, traffic, others in around:
            values += [*gpu.read(), *traffic, others]
        return values

    def watch(self, pids: dict[int, str]) -> None:
        """These processes are no neighbours; the channels stay the same."""
        if self._gpus:
            self._neighbours.watch(pids)

    def devices(self) -> tuple[DeviceFacts, ...]:
        """Name, driver, UUID and PCI address of each GPU."""
        return tuple(gpu.facts() for gpu in self._gpus)

    def lacking(self) -> tuple[str, ...]:
        """What single GPUs cannot tell."""
        return tuple(f"{gpu.device}: {reason}" for gpu in self._gpus for reason in gpu.lacking)

    def close(self) -> None:
        """End the PCIe meter and give NVML back."""
        if self._nvml is None:
            return
        if self._gpus:
            self._meter.close()
        self._nvml.nvmlShutdown()
        self._nvml, self._gpus = None, []


class _Gpu:
    """One GPU and the questions that it can answer."""

    def __init__(self, nvml: Any, handle: Any, device: str) -> None:
        self._nvml = nvml
        self._handle = handle
        self.device = device
        self.lacking: list[str] = []
        self._settled: dict[Question, Values] = {}  # never to be asked again
        for question in QUESTIONS:
            self._try(question)

    def read(self) -> list[float]:
        values: list[float] = []
        for question in QUESTIONS:
            values += self._settled[question] if question in self._settled else self._ask(question)
        return values

    def facts(self) -> DeviceFacts:
        nvml, handle = self._nvml, self._handle
        questions: dict[str, Callable[[], str | bytes]] = {
            "name": lambda: nvml.nvmlDeviceGetName(handle),
            "pci.bus_id": lambda: nvml.nvmlDeviceGetPciInfo(handle).busId,
            "driver_version": nvml.nvmlSystemGetDriverVersion,
            "uuid": lambda: nvml.nvmlDeviceGetUUID(handle),
        }
        labels = {}
        for name, ask in questions.items():
            with suppress(nvml.NVMLError):  # not told, or not to this user
                labels[name] = text(ask())
        return DeviceFacts(source="nvml", device=self.device, labels=labels)

    def _try(self, question: Question) -> None:
        """Settle what never changes and what this GPU, driver or binding will never tell."""
        nvml = self._nvml
        kinds = ("NotSupported", "NoPermission", "FunctionNotFound", "InvalidArgument")
        never = tuple(getattr(nvml, f"NVMLError_{kind}") for kind in kinds)
        try:
            values = question.ask(nvml, self._handle)
        except (*never, AttributeError) as reason:
            self.lacking.append(f"{', '.join(name for name, _ in question.quantities)}: {reason}")
            self._settled[question] = _unknown(question)
        except nvml.NVMLError:
            pass  # may pass
        else:
            if question.fixed:
                self._settled[question] = values

    def _ask(self, question: Question) -> Values:
        try:
            return question.ask(self._nvml, self._handle)
        except self._nvml.NVMLError:
            return _unknown(question)


def _unknown(question: Question) -> Values:
    return (math.nan,) * len(question.quantities)


def _channels(device: str) -> list[Channel]:
    """One a quantity, in the order of QUESTIONS; then the PCIe meter's and the neighbours."""
    asked = [
        (name, unit, question.cumulative) for question in QUESTIONS for name, unit in question.quantities
    ]
    metered = [*((name, "B/s", False) for name in DIRECTIONS), ("other_processes", "1", False)]
    return [
        Channel(source="nvml", name=name, unit=unit, device=device, cumulative=cumulative)
        for name, unit, cumulative in asked + metered
    ]


MEMBER = NvmlSource
