import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.timing.step import filled


@given(count=st.integers(1, 9), size=st.integers(1, 30))
def test_a_batch_repeats_the_images_in_order(count: int, size: int) -> None:
    images = np.arange(count * 6, dtype=np.float32).reshape(count, 2, 3)
    batch = filled(images, size)
    assert batch.shape == (size, 2, 3)
    for i, image in enumerate(batch):
        np.testing.assert_array_equal(image, images[i % count])


def test_images_that_are_a_batch_are_not_copied() -> None:
    images = np.zeros((4, 2), np.float32)
    assert np.shares_memory(filled(images, 4), images)
