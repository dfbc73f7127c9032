"""Images of few channels, made four a pixel, with zeros beside each line: copies can take runs of them."""

import triton
import triton.language as tl

from tensordyno.forge.kernels.early_start import wait_for_previous

CHANNELS = 4


@triton.jit(do_not_specialize=["pixels"])
def four_channels(
    image,
    packed,
    pixels,
    WIDTH: tl.constexpr,
    PITCH: tl.constexpr,
    READ: tl.constexpr,
    LEFT: tl.constexpr,
    ACROSS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """BLOCK pixels of lines that are ACROSS pixels long, of which LEFT zeros stand before the image's.

    image (batch, height, WIDTH, READ) with PITCH from pixel to pixel, READ at most 4; packed (batch, height,
    ACROSS, 4) of the same type, zeros behind READ channels; `pixels` is batch * height * ACROSS. A line of
    the image longer than ACROSS - LEFT loses what is behind.
    """
    wait_for_previous()
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    channel = tl.arange(0, 4)
    x = place % ACROSS - LEFT
    source = (place // ACROSS * WIDTH + x) * PITCH
    is_pixel = (place < pixels) & (x >= 0) & (x < WIDTH)
    inside = is_pixel[:, None] & (channel < READ)[None, :]
    made = tl.load(image + source[:, None] + channel[None, :], mask=inside, other=0)
    tl.store(packed + place[:, None] * 4 + channel[None, :], made, mask=(place < pixels)[:, None])
