"""How long a GPU takes for a few launches, without the time that Python takes to ask for them."""

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


_LAUNCHES = 20  # in one graph, at least
_REPEATS = 5


def gpu_us(runs: Sequence[Callable[[], None]], hopeless_us: float = float("inf")) -> float:
    """Microseconds of one run, the median of several rounds through all of them, each captured as one graph.

    Every run has to have run once. Takes one round only where that takes more than `hopeless_us` a run.
    """
    import torch

    rounds = -(-_LAUNCHES // len(runs))
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(aside):  # torch.cuda.graph would also give memory back, which is slow
        graph.capture_begin()
        for _ in range(rounds):
            for run in runs:
                run()
        graph.capture_end()
    took = [_graph_us(graph) / (rounds * len(runs))]
    while len(took) <= _REPEATS and took[0] <= hopeless_us:
        took.append(_graph_us(graph) / (rounds * len(runs)))
    return statistics.median(took[1:] or took)


def _graph_us(graph: "torch.cuda.CUDAGraph") -> float:
    import torch

    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begin.record()
    graph.replay()
    end.record()
    end.synchronize()
    return 1e3 * float(begin.elapsed_time(end))
