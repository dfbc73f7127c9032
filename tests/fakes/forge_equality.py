"""Whether two graphs, or parts of them, are the same: dataclasses with arrays do not compare."""

import dataclasses

import numpy as np


def same(found, expected):
    """Equal in type, structure and every bit of every array."""
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype and found.shape == expected.shape
        assert found.tobytes() == expected.tobytes()
    elif dataclasses.is_dataclass(expected):
        for field in dataclasses.fields(expected):
            same(getattr(found, field.name), getattr(expected, field.name))
    elif isinstance(expected, tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    elif hasattr(expected, "items"):
        assert list(found) == list(expected)
        for name in expected:
            same(found[name], expected[name])
    else:
        assert found == expected
