"""A kernel may start while the one before it ends, and waits for its results only where it reads them.

Hopper calls this programmatic dependent launch (CUDA Programming Guide): a launch that is so marked
(`Launch.overlaps`) begins once every program of the one before has begun to end or said that it may. Between
the kernels of a network that hides the time to start programs, some microseconds each.
"""

import triton
import triton.language as tl
from triton import knobs
from triton.language.target_info import cuda_capability_geq
from triton.runtime.jit import constexpr_function


@constexpr_function
def _starts_early():
    """Whether what is compiled for can do so; the instructions exist from Hopper on."""
    return not knobs.runtime.interpret and cuda_capability_geq(9, 0)


@triton.jit
def wait_for_previous():
    """Wait until all that was launched before is done and seen; let what comes next start.

    Every program of every kernel calls this before it reads or writes anything but weights: kernels reuse
    memory, and one that is done has to mean that all before it are.
    """
    if _starts_early():
        tl.extra.cuda.gdc_wait()
        tl.extra.cuda.gdc_launch_dependents()
