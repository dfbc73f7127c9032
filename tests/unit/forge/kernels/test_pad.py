from forge_launching import BATCH_SIZES, check, laid, operation_of, target, tries, views
from hypothesis import given, settings
from hypothesis import strategies as st

from tensordyno.forge.graph import Concat, Pad
from tensordyno.forge.kernels.pad import KERNELS
from tensordyno.forge.program import Format

(KERNEL,) = KERNELS
NAMES = {"name": "pad", "inputs": ("i",), "output": "o"}


@settings(deadline=None, max_examples=tries(100))
@given(
    data=st.data(),
    pads=st.tuples(*[st.integers(0, 3)] * 4),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    channels=st.sampled_from([1, 3, 16, 33]),
    batch_size=BATCH_SIZES,
    seed=st.integers(0, 2**32),
)
def test_it_is_the_oracle(data, pads, size, channels, batch_size, seed):
    image = data.draw(views(*size, channels))
    padded = size[0] + pads[0] + pads[2], size[1] + pads[1] + pads[3]
    output = data.draw(views(*padded, channels, storage="output"))
    check(KERNEL, operation_of(Pad(**NAMES, pads=pads), [image], output), batch_size, seed)


def test_what_it_does_not_take():
    image = laid(Format.INT8, 4, 4, 16)
    assert not KERNEL.takes(operation_of(Concat(**NAMES), [image], image), target())
