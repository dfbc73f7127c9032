import pytest
from forge_launching import BATCH_SIZES, check, laid, operation_of, target, tries, views
from hypothesis import given, settings
from hypothesis import strategies as st

from tensordyno.forge.graph import Concat, LocalResponseNorm
from tensordyno.forge.kernels.normalise import KERNELS
from tensordyno.forge.program import Format

(KERNEL,) = KERNELS
NAMES = {"name": "norm", "inputs": ("i",), "output": "o"}


@settings(deadline=None, max_examples=tries(100))
@given(
    data=st.data(),
    channels=st.sampled_from([1, 3, 16, 33]),
    batch_size=BATCH_SIZES,
    seed=st.integers(0, 2**32),
    size=st.integers(1, 6),
    alpha=st.sampled_from([1e-4, 0.3, 2.0]),
    beta=st.sampled_from([0.75, 0.5, 1.0]),
    bias=st.sampled_from([1.0, 2.0]),
)
def test_it_is_the_oracle(data, channels, batch_size, seed, size, alpha, beta, bias):
    node = LocalResponseNorm(**NAMES, size=size, alpha=alpha, beta=beta, bias=bias)
    image = data.draw(views(2, 3, channels))
    output = data.draw(views(2, 3, channels, storage="output"))
    check(KERNEL, operation_of(node, [image], output), batch_size, seed, relative=1e-5)


@pytest.mark.parametrize("spread", [1e-3, 100.0, 1e4])
def test_small_and_large_numbers(spread):
    node = LocalResponseNorm(**NAMES, size=5, alpha=1e-4, beta=0.75, bias=1.0)
    image, output = (laid(Format.FP32, 3, 3, 96, storage=name) for name in ("image", "output"))
    check(KERNEL, operation_of(node, [image], output), 1, 0, relative=1e-5, spread=spread)


def test_what_it_does_not_take():
    image = laid(Format.INT8, 4, 4, 16)
    assert not KERNEL.takes(operation_of(Concat(**NAMES), [image], image), target())
