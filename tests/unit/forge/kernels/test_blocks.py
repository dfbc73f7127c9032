from forge_launching import laid
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.forge.kernels.blocks import block_choices, block_grid
from tensordyno.forge.program import Format


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 5000), st.integers(1, 1024))
def test_a_few_blocks_that_cover_everything(height, width, channels, batch_size):
    view = laid(Format.INT8, height, width, channels)
    choices = block_choices(view, batch_size)
    assert 1 <= len(choices) <= 4
    assert len(set(choices)) == len(choices)
    for choice in choices:
        pixels, wide, _ = choice
        assert all(number.bit_count() == 1 for number in choice)
        assert wide <= 256 and pixels * wide <= 8192
        (programs,) = block_grid(view, batch_size, choice)
        assert programs * pixels * wide >= batch_size * view.pixels * channels
        if programs > 1:  # and no program is idle
            fewer_rows = -(-batch_size * view.pixels // pixels) - 1
            fewer_columns = -(-channels // wide) - 1
            assert fewer_rows * pixels < batch_size * view.pixels
            assert fewer_columns * wide < channels


def test_one_choice_leaves_no_lanes_idle():
    assert (128, 32, 4) in block_choices(laid(Format.INT8, 28, 28, 96), 8)
    assert (64, 64, 4) in block_choices(laid(Format.INT8, 28, 28, 192), 8)
