import numpy as np

from tensordyno.quantize.doubts import drop_above_bound, few_images, zero_ranges
from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.keep import Kept


def histogram(value):
    made = Histogram()
    made.add(np.full(3, value, np.float32))
    return made


def test_a_hundred_images_are_enough():
    assert few_images(100) == ()
    assert few_images(99)[0].startswith("Calibrated on 99 images only")
    assert few_images(1)[0].startswith("Calibrated on 1 image only")


def test_dead_tensors_are_counted_and_some_named():
    seen = {name: histogram(name == "x") for name in "abcdx"}
    assert zero_ranges("x", seen) == ()
    assert "1 of 2 tensors" in zero_ranges("ax", seen)[0] and "(a)" in zero_ranges("ax", seen)[0]
    assert (
        "4 of 5 tensors" in zero_ranges("abcdx", seen)[0]
        and "(a, b, c, ...)" in zero_ranges("abcdx", seen)[0]
    )


def test_a_bound_not_met():
    kept = Kept(("a", "b"), 0.0123)
    assert drop_above_bound(kept, 0.0123, 9, 250) == ()
    (sentence,) = drop_above_bound(kept, 0.003, 9, 250)
    assert sentence == (
        "With 2 of 9 layers in FP32, INT8 still loses 1.2% of 250 held-back images, more than 0.3%. "
        "[drop-above-bound]"
    )
