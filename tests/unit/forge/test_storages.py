import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge.program import Format, View
from tensordyno.forge.storages import Storages, allocated, element_type


@pytest.mark.parametrize("format", Format)
def test_element_types_are_as_wide_as_their_format(format):
    assert element_type(format).itemsize == format.width_bytes
    assert element_type(format).is_floating_point is (format not in (Format.INT8, Format.UINT8))


@given(st.integers(0, 5000))
def test_memory_is_aligned(size_bytes):
    memory = allocated(size_bytes, "cpu")
    assert memory.shape == (size_bytes,) and memory.dtype == torch.uint8
    assert memory.numel() == 0 or memory.data_ptr() % 256 == 0


@given(
    st.sampled_from(list(Format)),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 20),
    st.sampled_from([0, 3, 16]),
)
def test_views(format, count, height, width, channels, first):
    pitch = -(-(first + channels) // 16) * 16
    view = View(
        storage="s", format=format, height=height, width=width, channels=channels, pitch=pitch, first=first
    )
    memory = allocated(count * view.pixels * pitch * format.width_bytes, "cpu").zero_()
    storages = Storages({"s": memory, "other": allocated(16, "cpu")})
    flat = storages(view)
    assert flat.dim() == 1 and flat.dtype == element_type(format)
    images = storages.images(view, count)
    images.fill_(1)
    whole = memory.view(flat.dtype).view(count, height, width, pitch)
    assert flat.data_ptr() == whole[..., first:].data_ptr()
    assert (whole[..., first : first + channels] == 1).all()
    assert float(whole.float().sum()) == images.numel() == count * height * width * channels
