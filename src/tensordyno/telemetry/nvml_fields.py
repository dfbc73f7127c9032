"""What can be asked of a GPU through NVML: the questions, their units, and how to answer each.

Seen on an H200 (driver 580.159): all answers come from the driver's memory in 1-30 microseconds, save
the energy counter, which takes 3 ms. That counter moves every 100 ms; asking for it every 2 ms did
not change its slope by more than 0.6 %. Energy over a window is good to one such step at each end,
so take it over seconds, never between neighbouring readings.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

Values = tuple[float, ...]


class Question(NamedTuple):
    """One call to NVML and the quantities that it answers, in the units of the channels.

    `ask(library, handle)` raises the library's NVMLError where the GPU or the driver cannot tell.
    """

    quantities: tuple[tuple[str, str], ...]  # (channel name, unit)
    ask: Callable[[Any, Any], Values]
    cumulative: bool = False
    fixed: bool = False  # does not change while the machine runs: asked once


def _pstate(nvml: Any, gpu: Any) -> Values:
    state = nvml.nvmlDeviceGetPerformanceState(gpu)
    return (math.nan if state == nvml.NVML_PSTATE_UNKNOWN else float(state),)


def _utilisation(nvml: Any, gpu: Any) -> Values:
    rates = nvml.nvmlDeviceGetUtilizationRates(gpu)
    return float(rates.gpu), float(rates.memory)


def _memory(nvml: Any, gpu: Any) -> Values:
    # Version 2 leaves the driver's reserve out of `used`, as nvidia-smi does; drivers before 510 lack it.
    try:
        sizes = nvml.nvmlDeviceGetMemoryInfo(gpu, version=nvml.nvmlMemory_v2)
    except nvml.NVMLError:
        sizes = nvml.nvmlDeviceGetMemoryInfo(gpu)
    return float(sizes.total), float(sizes.free), float(sizes.used)


def _temperature(nvml: Any, gpu: Any) -> Values:
    return (float(nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU)),)


def _link_max(nvml: Any, gpu: Any) -> Values:
    generation = nvml.nvmlDeviceGetMaxPcieLinkGeneration(gpu)
    return float(generation), float(nvml.nvmlDeviceGetMaxPcieLinkWidth(gpu))


def _link_now(nvml: Any, gpu: Any) -> Values:
    generation = nvml.nvmlDeviceGetCurrPcieLinkGeneration(gpu)
    return float(generation), float(nvml.nvmlDeviceGetCurrPcieLinkWidth(gpu))


def _clock(kind: str) -> Callable[[Any, Any], Values]:
    def ask(nvml: Any, gpu: Any) -> Values:
        return (1e6 * nvml.nvmlDeviceGetClockInfo(gpu, getattr(nvml, kind)),)  # MHz

    return ask


def _throttle(nvml: Any, gpu: Any) -> Values:
    return (float(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)),)


def _power(nvml: Any, gpu: Any) -> Values:
    return (nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,)  # mW


def _power_limit(nvml: Any, gpu: Any) -> Values:
    return (nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000,)  # mW


def _energy(nvml: Any, gpu: Any) -> Values:
    return (nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1000,)  # mJ


def _milliwatts(field: str) -> Callable[[Any, Any], Values]:
    def ask(nvml: Any, gpu: Any) -> Values:
        answer = nvml.nvmlDeviceGetFieldValues(gpu, [getattr(nvml, field)])[0]
        if answer.nvmlReturn != nvml.NVML_SUCCESS:
            raise nvml.NVMLError(answer.nvmlReturn)
        return (_union_value(answer) / 1000,)

    return ask


def _union_value(answer: Any) -> float:
    """The member of the union c_nvmlValue_t that NVML filled, by its nvmlValueType_t."""
    members = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
    return float(getattr(answer.value, members[answer.valueType]))


QUESTIONS: tuple[Question, ...] = (
    Question((("pstate", "1"),), _pstate),
    Question((("utilisation_gpu", "%"), ("utilisation_memory", "%")), _utilisation),
    Question((("memory_total", "B"), ("memory_free", "B"), ("memory_used", "B")), _memory),
    Question((("temperature", "degC"),), _temperature),
    Question((("pcie_gen_max", "1"), ("pcie_width_max", "1")), _link_max, fixed=True),
    Question((("pcie_gen", "1"), ("pcie_width", "1")), _link_now),
    Question((("sm_clock", "Hz"),), _clock("NVML_CLOCK_SM")),
    Question((("memory_clock", "Hz"),), _clock("NVML_CLOCK_MEM")),
    Question((("throttle_reasons", "1"),), _throttle),
    Question((("power", "W"),), _power),
    Question((("power_instant", "W"),), _milliwatts("NVML_FI_DEV_POWER_INSTANT")),
    Question((("power_average", "W"),), _milliwatts("NVML_FI_DEV_POWER_AVERAGE")),
    Question((("power_limit", "W"),), _power_limit, fixed=True),
    Question((("energy", "J"),), _energy, cumulative=True),
)
