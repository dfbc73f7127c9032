import numpy as np
import pytest
import torch
from forge_launching import BATCH_SIZES, DEVICE, ELEMENTS, FORMATS, laid, stored_as, target, tries
from hypothesis import given, settings
from hypothesis import strategies as st

from tensordyno.forge.kernels.enter import enter_launch
from tensordyno.forge.program import Format

GUARD = 64


def entered(images, view):
    """What the view holds afterwards, (batch, height, width, channels); nothing else may be written."""
    batch_size = len(images)
    length = batch_size * view.pixels * view.pitch
    storage = torch.full((length + 2 * GUARD,), 77, dtype=ELEMENTS[view.format], device=DEVICE)
    there = torch.from_numpy(images).to(DEVICE)
    enter_launch(there, view, batch_size, lambda view: storage[GUARD:-GUARD], target()).run()
    kept = storage.cpu()
    pixels = kept[GUARD:-GUARD].view(batch_size, view.height, view.width, view.pitch)
    found = pixels[..., : view.channels].clone()
    pixels[..., : view.channels] = 77
    assert (kept == 77).all()
    return (found if view.scale else found.float()).numpy()


@settings(deadline=None, max_examples=tries(60))
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    channels=st.sampled_from([3, 3, 1, 4]),
    grain=st.sampled_from([1, 16]),
    kind=FORMATS,
    batch_size=BATCH_SIZES,
    scale=st.floats(0.005, 0.05),
    seed=st.integers(0, 2**32),
)
def test_images_become_the_input_view(size, channels, grain, kind, batch_size, scale, seed):
    view = laid(kind, *size, channels, grain=grain, scale=scale)
    random = np.random.default_rng(seed)
    images = random.standard_normal((batch_size, channels, *size)).astype(np.float32)
    np.testing.assert_array_equal(entered(images, view), stored_as(images, view).transpose(0, 2, 3, 1))


@pytest.mark.parametrize("kind", [Format.INT8, Format.FP16])
def test_an_image_of_several_blocks(kind):
    view = laid(kind, 37, 61, 3, grain=1, scale=0.02)
    images = np.random.default_rng(0).standard_normal((2, 3, 37, 61)).astype(np.float32)
    np.testing.assert_array_equal(entered(images, view), stored_as(images, view).transpose(0, 2, 3, 1))
