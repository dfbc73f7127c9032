import numpy as np
import pytest

from tensordyno.forge.kernels.compare import mismatches


def test_counts_what_differs_and_says_by_how_much():
    assert mismatches(np.int8([1, 127, -128]), np.int8([1, -128, -128])) == (1, 255.0)
    assert mismatches(np.uint8([0, 5]), np.uint8([255, 5])) == (1, 255.0)


def test_a_tolerance_excuses_but_the_largest_is_told():
    assert mismatches([1.0, 2.0], [1.5, 4.0], 1.0) == (1, 2.0)
    assert mismatches([1.0, 2.0], [1.5, 4.0], [0.0, 2.0]) == (1, 2.0)


def test_nothing_differs_from_itself_but_nan():
    assert mismatches([1.0, np.inf, -np.inf], [1.0, np.inf, -np.inf]) == (0, 0.0)
    assert mismatches([np.nan, np.inf, 0.0], [np.nan, 1.0, np.nan]) == (3, np.inf)
    assert mismatches(np.zeros((0, 3)), np.zeros((0, 3))) == (0, 0.0)


def test_shapes_must_be_the_same():
    with pytest.raises(ValueError, match=r"\(1,\) and \(2,\)"):
        mismatches([1], [1, 1])
