"""What the PyTorch engines decide on an NVIDIA GPU: algorithms of cuDNN, CUDA graphs, batches in flight."""

from typing import Annotated, Literal

import msgspec

from tensordyno.engines.base import EngineOptions, FloatArray, Step
from tensordyno.engines.torch_cuda_step import CudaDeviceStep, CudaHostStep
from tensordyno.engines.torch_step import Network, Placement
from tensordyno.vocabulary import Boundary

PROBE_BATCH = 64  # images: what is decided by measuring is measured on so many
SEARCH_COSTS = 70  # batches: trying every algorithm took 50 to 73 on an H200 (resnet50)
LONGEST_SEARCH_S = 6.0
_DEPTH = {Boundary.DEVICE: 1, Boundary.HOST: 2}


class CudaOptions(EngineOptions, frozen=True, kw_only=True):
    """Options that matter on GPUs only.

    `cudnn`: "search" times cuDNN's algorithms for each convolution, "heuristics" takes its advice, "auto"
    searches where that is expected to take no more than six seconds. `queue`: batches in flight, 0 for one on
    the device boundary and two (one is copied while one computes) on the host boundary.
    """

    cudnn: Literal["auto", "search", "heuristics"] = "auto"
    queue: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0


def choose_algorithms(options: CudaOptions, batch_size: int, probe_s: float | None) -> str:
    """Tell cuDNN how to choose its algorithms from now on; what was decided, in words.

    `probe_s` is the time of a batch of 64 in seconds; where it is not known, larger ones are not searched.
    """
    import torch

    if probe_s is None:
        is_short = batch_size <= PROBE_BATCH
    else:
        is_short = SEARCH_COSTS * probe_s * max(1.0, batch_size / PROBE_BATCH) <= LONGEST_SEARCH_S
    search = options.cudnn == "search" or (options.cudnn == "auto" and is_short)
    torch.backends.cudnn.benchmark = search
    return "algorithms timed" if search else "heuristics"


def cuda_step(
    network: Network,
    images: FloatArray,
    place: Placement,
    boundary: Boundary,
    *,
    batch_size: int,
    graph: bool,
    options: CudaOptions,
) -> Step:
    """A step of `network` on a GPU; fewer images than `batch_size` are repeated."""
    kind = CudaHostStep if boundary is Boundary.HOST else CudaDeviceStep
    depth = options.queue or _DEPTH[boundary]
    return kind(network, images, place, batch_size, graph=graph, depth=depth)


def release_memory(device: str) -> None:
    """Give back what PyTorch keeps for later, and begin to count the peak anew."""
    import gc

    import torch

    gc.collect()  # a graph and its buffers may hang on a cycle
    torch.cuda.synchronize(device)
    # A workspace of cuBLAS lives as long as its stream; one cut from a block of gigabytes keeps all of it.
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
