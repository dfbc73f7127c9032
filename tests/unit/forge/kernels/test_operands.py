import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from forge_launching import DEVICE

from tensordyno.forge.kernels.number_formats import rounded
from tensordyno.forge.kernels.operands import nearest_tf32, operand
from tensordyno.vocabulary import Precision


@triton.jit
def of_floats(numbers, output, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    tl.store(output + place, nearest_tf32(tl.load(numbers + place)))


@triton.jit
def of_stored(numbers, output, scale, SIZE: tl.constexpr, ASSEMBLY: tl.constexpr):
    place = tl.arange(0, SIZE)
    made = operand(tl.load(numbers + place), scale, output.dtype.element_ty, False, ASSEMBLY)
    tl.store(output + place, made)


def nearest(words):
    output = torch.empty(len(words), dtype=torch.float32, device=DEVICE)
    numbers = torch.tensor(words.view(np.float32), device=DEVICE)
    of_floats[(1,)](numbers, output, SIZE=len(words))
    return output.cpu().numpy()


def test_tf32_is_rounded_half_to_even():
    random = np.random.default_rng(0)
    words = random.integers(0, 0x7F000000, 4096, np.uint32)
    words[::4] = words[::4] & 0xFFFFE000 | 0x1000  # halves
    words[::2] |= 0x80000000
    expected = rounded(words.view(np.float32), Precision.TF32)
    np.testing.assert_array_equal(nearest(words), expected)
    assert (expected != words.view(np.float32)).mean() > 0.99


def test_tf32_has_infinities():
    assert nearest(np.float32([np.inf, -np.inf]).view(np.uint32)).tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("stored", [torch.int8, torch.uint8])
def test_integers_stand_for_real_numbers(stored, kind):
    numbers = torch.arange(256, dtype=torch.int32, device=DEVICE).to(stored)
    output = torch.empty(256, dtype=kind, device=DEVICE)
    of_stored[(1,)](numbers, output, 0.037, SIZE=256, ASSEMBLY=DEVICE == "cuda")
    expected = (numbers.float() * torch.tensor(0.037, device=DEVICE)).to(kind)
    torch.testing.assert_close(output, expected, rtol=0, atol=0)


def test_uint8_becomes_int8_by_128_less():
    numbers = torch.arange(256, dtype=torch.int32, device=DEVICE).to(torch.uint8)
    output = torch.empty(256, dtype=torch.int8, device=DEVICE)
    of_stored[(1,)](numbers, output, 1.0, SIZE=256, ASSEMBLY=DEVICE == "cuda")
    assert output.tolist() == list(range(-128, 128))
