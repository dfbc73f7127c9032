import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from forge_launching import DEVICE, ELEMENTS, laid, numbers_for, rounded_to, target, tries
from hypothesis import given, settings
from hypothesis import strategies as st

from tensordyno.forge.kernels.conversions import as_float, as_real, as_stored, reciprocal_of, scale_of
from tensordyno.forge.kernels.reference_values import reciprocal
from tensordyno.forge.program import Format

REALS = [Format.FP16, Format.BF16, Format.FP32]
INTEGERS = [Format.INT8, Format.UINT8]


@triton.jit
def load_all(stored, real, scale, SCALED: tl.constexpr, ASSEMBLY: tl.constexpr, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    numbers = tl.load(stored + place)
    made = as_real(numbers, scale, ASSEMBLY) if SCALED else as_float(numbers, ASSEMBLY)
    tl.store(real + place, made)


@triton.jit
def store_all(real, stored, factor, ASSEMBLY: tl.constexpr, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    made = as_stored(tl.load(real + place), factor, stored.dtype.element_ty, ASSEMBLY)
    tl.store(stored + place, made)


def loaded(stored, scale=None):
    stored = stored.to(DEVICE)
    real = torch.empty(len(stored), dtype=torch.float32, device=DEVICE)
    load_all[(1,)](stored, real, scale or 1.0, scale is not None, target().has_assembly, len(stored))
    return real.cpu().numpy()


def stored(real, kind, factor=1.0):
    made = torch.empty(len(real), dtype=ELEMENTS[kind], device=DEVICE)
    real = torch.from_numpy(real).to(DEVICE)
    store_all[(1,)](real, made, factor, target().has_assembly, len(real))
    return made.cpu()


@pytest.mark.parametrize("kind", INTEGERS)
def test_all_integers_become_their_floats(kind):
    numbers = torch.arange(256).to(ELEMENTS[kind])
    np.testing.assert_array_equal(loaded(numbers), numbers.numpy().astype(np.float32))
    scaled = numbers.numpy().astype(np.float32) * np.float32(0.0371)
    np.testing.assert_array_equal(loaded(numbers, 0.0371), scaled)


@pytest.mark.parametrize("kind", [Format.FP16, Format.BF16])
def test_all_short_floats_become_their_floats(kind):
    numbers = torch.arange(2**16, dtype=torch.int32).to(torch.uint16).view(ELEMENTS[kind])
    numbers = torch.where(torch.isfinite(numbers), numbers, 0)
    np.testing.assert_array_equal(loaded(numbers), numbers.float().numpy())
    np.testing.assert_array_equal(loaded(numbers, 0.5), numbers.float().numpy())  # no integers, no scale


@pytest.mark.parametrize("kind", INTEGERS)
def test_halves_go_to_even_and_the_rest_saturates(kind):
    steps = np.arange(-500, 520, dtype=np.float32) / 2
    real = np.concatenate([steps, np.float32([1e9, -1e9, np.inf, -np.inf])])
    limits = np.iinfo(kind.value)
    expected = np.clip(np.rint(real), limits.min, limits.max)
    np.testing.assert_array_equal(stored(real, kind).numpy(), expected)


@pytest.mark.parametrize("kind", INTEGERS)
@settings(deadline=None, max_examples=tries(50))
@given(scale=st.floats(1e-3, 1.0), seed=st.integers(0, 2**32))
def test_integers_of_a_scale(kind, scale, seed):
    real = np.random.default_rng(seed).standard_normal(256).astype(np.float32) * 10
    factor = reciprocal(scale)
    limits = np.iinfo(kind.value)
    expected = np.clip(np.rint(real * factor), limits.min, limits.max)
    np.testing.assert_array_equal(stored(real, kind, float(factor)).numpy(), expected)


@pytest.mark.parametrize("kind", REALS)
@settings(deadline=None, max_examples=tries(50))
@given(seed=st.integers(0, 2**32), size=st.sampled_from([1e-6, 1.0, 1e4]))
def test_reals_are_rounded_once_and_not_scaled(kind, seed, size):
    view = laid(kind, 1, 1, 256)
    wide = (np.random.default_rng(seed).standard_normal(256) * size).astype(np.float32)
    np.testing.assert_array_equal(stored(wide, kind, 3.0).float().numpy(), rounded_to(wide, view))


@pytest.mark.parametrize("kind", REALS)
def test_halves_of_the_last_bit_go_to_even(kind):
    bits = {Format.FP16: 10, Format.BF16: 7, Format.FP32: 23}[kind]
    halves = (1 + (np.arange(256) + 0.5) * 2.0**-bits).astype(np.float32)
    np.testing.assert_array_equal(
        stored(halves, kind).float().numpy(), rounded_to(halves, laid(kind, 1, 1, 1))
    )


@pytest.mark.parametrize("kind", Format)
@settings(deadline=None, max_examples=tries(20))
@given(seed=st.integers(0, 2**32), scale=st.floats(1e-3, 1.0))
def test_what_was_stored_comes_back(kind, seed, scale):
    view = laid(kind, 1, 1, 256, scale=scale)
    numbers = numbers_for(view, 1, np.random.default_rng(seed)).reshape(-1)
    there = loaded(torch.from_numpy(numbers).to(ELEMENTS[kind]), scale_of(view))
    np.testing.assert_array_equal(stored(there, kind, reciprocal_of(view)).float().numpy(), numbers)


def test_factors_are_those_of_float32():
    view = laid(Format.INT8, 1, 1, 1, scale=0.1)
    assert (scale_of(view), reciprocal_of(view)) == (float(np.float32(0.1)), float(reciprocal(0.1)))
    real = laid(Format.FP16, 1, 1, 1)
    assert (scale_of(real), reciprocal_of(real)) == (1.0, 1.0)
