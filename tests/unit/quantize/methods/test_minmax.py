"""minmax covers exactly what was seen."""

import numpy as np

from tensordyno.quantize.histogram import Histogram
from tensordyno.quantize.methods import minmax


def test_it_is_the_largest_absolute_value_to_the_last_bit():
    values = np.random.default_rng(1).standard_normal(5000).astype(np.float32)
    histogram = Histogram()
    histogram.add(values)
    assert minmax.threshold(histogram, None) == np.abs(values).max()


def test_values_that_were_looked_at_but_not_counted_are_covered():
    histogram = Histogram()
    histogram.add([1.0])
    histogram.cover(-12.5, 3.0)
    assert minmax.threshold(histogram, None) == 12.5
