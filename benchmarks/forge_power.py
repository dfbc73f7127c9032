"""What each operation of a forge engine takes when it runs alone for a while: time, power, energy, clock.

python benchmarks/forge_power.py resnet50.engine [--batch 256] [--seconds 0.4] [--out power.json]

At its power limit a GPU lowers its clock, and then the energy of an operation decides as much as its time.
Kernels are chosen by short runs, at a clock that the whole network may not hold: this shows the difference.
"""

import argparse
import json
import statistics
from dataclasses import replace
from pathlib import Path

import pynvml
import torch

from tensordyno import forge
from tensordyno.forge.kernels.base import Launch

_REPEATS = 20  # launches in one graph


def sustained(launches: list[Launch], seconds: float, gpu: object) -> dict[str, float]:
    """Mean time of one round of launches, power, energy of a round and clock, over so many seconds."""
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        for _ in range(_REPEATS):
            for launch in launches:
                launch.run()
    once_us = _replayed_us(graph, 1) / _REPEATS
    rounds = max(2, int(seconds * 1e6 / (once_us * _REPEATS)))
    _replayed_us(graph, rounds // 2)  # the regulator needs some time
    before_j, clocks = pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1e3, []
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(8):
        for _ in range(-(-rounds // 8)):
            graph.replay()
        clocks.append(pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_SM))
    end.record()
    end.synchronize()
    took_s = begin.elapsed_time(end) / 1e3
    watts = (pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1e3 - before_j) / took_s
    us = 1e6 * took_s / (8 * -(-rounds // 8) * _REPEATS)
    return {
        "us": us,
        "once_us": once_us,
        "power_w": watts,
        "energy_mj": watts * us / 1e3,
        "sm_clock_mhz": statistics.median(clocks),
    }


def _replayed_us(graph: torch.cuda.CUDAGraph, times: int) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(times):
        graph.replay()
    end.record()
    end.synchronize()
    return 1e3 * begin.elapsed_time(end)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", type=Path)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    pynvml.nvmlInit()
    gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
    engine = forge.load(given.engine)
    executable = engine.executable(given.batch or max(engine.batch_sizes))
    found, seen = [], set()
    for operation, choice, launch in zip(
        executable.program.operations, executable.choices, executable.launches, strict=True
    ):
        views = (*operation.inputs, operation.output)
        alike = (str(choice), *((view.height, view.width, view.channels) for view in views))
        if alike not in seen:
            seen.add(alike)
            found.append({"operation": operation.node.name, **sustained([launch], given.seconds, gpu)})
            print(found[-1], flush=True)
    apart = [replace(launch, overlaps=False) for launch in executable.launches]
    for name, launches in (("all", list(executable.launches)), ("all, none overlapping", apart)):
        found.append({"operation": name, **sustained(launches, 5 * given.seconds, gpu)})
        print(found[-1], flush=True)
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
