import numpy as np
import pytest

from tensordyno.engines import known_work


def test_amounts_are_counted_by_the_book():
    assert known_work.amount("matmul", 100) == 2_000_000
    assert known_work.amount("copy", 4096) == 8192


@pytest.mark.parametrize("kind", known_work.KINDS)
def test_a_portion_does_its_work(kind):
    portion = known_work.work(kind, 64)
    portion()
    first, *rest = portion.args
    if kind == "matmul":
        np.testing.assert_allclose(rest[1], first @ rest[0], rtol=1e-4, atol=1e-4)
    else:
        np.testing.assert_array_equal(first, rest[0])


def test_the_bare_stopwatch_gives_a_rate(monkeypatch):
    monkeypatch.setattr(known_work, "BARE_CHUNKS", 2)
    monkeypatch.setattr(known_work, "BARE_CHUNK_S", 0.005)
    assert known_work.bare_rate("copy", 4096) > 0
