"""Pools of all kinds, for kernels to be tried on."""

from types import SimpleNamespace

from hypothesis import assume
from hypothesis import strategies as st

from tensordyno.forge.kernels.reference_windows import window_count

NAMES = {"name": "pool", "inputs": ("i",), "output": "o"}


@st.composite
def pools(draw):
    """`words` that a pool is made of, `size` (height, width) of its images and of its results, `channels`.

    Windows up to 4 x 4, strides beyond them, padding narrower than the kernel, images that are not square.
    """
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    pads = tuple(draw(st.integers(0, kernel[place % 2] - 1)) for place in range(4))
    ceil = draw(st.booleans())
    size = draw(st.tuples(st.integers(1, 8), st.integers(1, 8)))
    assume(all(size[axis] + pads[axis] + pads[axis + 2] >= kernel[axis] for axis in (0, 1)))
    out = tuple(
        window_count(size[axis], kernel[axis], stride[axis], (pads[axis], pads[axis + 2]), ceil)
        for axis in (0, 1)
    )
    assume(min(out) > 0)
    words = {**NAMES, "kernel": kernel, "stride": stride, "pads": pads, "ceil": ceil}
    return SimpleNamespace(
        words=words, size=size, out=out, channels=draw(st.sampled_from([1, 3, 16, 20, 33]))
    )
