from forge_launching import BATCH_SIZES, INTEGERS, check, laid, operation_of, target, tries, views
from forge_pools import NAMES
from hypothesis import given, settings
from hypothesis import strategies as st

from tensordyno.forge.graph import AveragePool, GlobalAveragePool
from tensordyno.forge.kernels.global_pool import KERNELS
from tensordyno.forge.program import Format

(KERNEL,) = KERNELS
LARGEST = 12.0  # of the real numbers of these tests
SEEDS = st.integers(0, 2**32)


@settings(deadline=None, max_examples=tries(100))
@given(data=st.data(), batch_size=BATCH_SIZES, seed=SEEDS)
def test_it_is_the_oracle(data, batch_size, seed):
    height, width = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    channels = data.draw(st.sampled_from([1, 3, 16, 20, 150]))
    image = data.draw(views(height, width, channels))
    output = data.draw(views(1, 1, channels, storage="output"))
    rounding = 0.0 if image.format in INTEGERS else (height * width + 2) * 2.0**-24 * LARGEST
    check(
        KERNEL, operation_of(GlobalAveragePool(**NAMES), [image], output), batch_size, seed, absolute=rounding
    )


@settings(deadline=None, max_examples=tries(15))
@given(seed=SEEDS, counts=st.booleans())
def test_an_average_whose_window_is_the_image(seed, counts):
    node = AveragePool(**NAMES, kernel=(7, 5), stride=(1, 1), count_pads=counts)
    image, output = laid(Format.INT8, 7, 5, 32, scale=0.02), laid(Format.UINT8, 1, 1, 32, storage="output")
    check(KERNEL, operation_of(node, [image], output), 3, seed)


def test_what_it_does_not_take():
    image, output = laid(Format.INT8, 7, 5, 16), laid(Format.INT8, 1, 1, 16, storage="output")
    for words in ({"kernel": (7, 4)}, {"kernel": (7, 5), "pads": (1, 0, 0, 0)}):
        node = AveragePool(**NAMES, stride=(1, 1), **words)
        assert not KERNEL.takes(operation_of(node, [image], output), target())
    large = laid(Format.UINT8, 4096, 2048, 16)  # the sum of 2**23 numbers of 255 is nearly 2**31
    assert not KERNEL.takes(operation_of(GlobalAveragePool(**NAMES), [large], output), target())
