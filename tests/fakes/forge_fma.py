"""Whether a fused multiply-add rounds once here: devices do, Triton's interpreter does since 3.9."""

from functools import cache

import torch
import triton
import triton.language as tl
from forge_launching import DEVICE


@cache
def rounds_once():
    """Asked of the thing itself: (1 + 2**-12)**2 - (1 + 2**-11) is 2**-24, or nothing."""
    numbers = torch.tensor([1 + 2**-12, -(1 + 2**-11), 7.0], device=DEVICE)
    _square_and_add[(1,)](numbers)
    assert numbers[2].item() in (0.0, 2**-24)
    return numbers[2].item() != 0


@triton.jit
def _square_and_add(numbers):
    x = tl.load(numbers)
    tl.store(numbers + 2, tl.fma(x, x, tl.load(numbers + 1)))
