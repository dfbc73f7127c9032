from hypothesis import given
from hypothesis import strategies as st

from tensordyno.records.burst import Burst, Probe
from tensordyno.run.contention import SpinReference


def burst(*rates):
    before, after = (Probe(rate=r, loss=0) if r else None for r in rates)
    return Burst(start_s=0, stop_s=1, batches=1, images=1, before=before, after=after)


def test_nothing_is_known_before_the_first_probe():
    reference = SpinReference()
    assert reference.rate is None
    reference.learn(burst(None, None))
    assert reference.rate is None


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=60))
def test_the_reference_is_a_rate_that_was_seen_and_not_a_lucky_one(rates):
    reference = SpinReference()
    for rate in rates:
        reference.learn(burst(rate, None))
    best = sorted(rates)[-max(1, len(rates) // 10) :]
    assert best[0] <= reference.rate <= best[-1]


def test_a_neighbour_that_comes_later_does_not_lower_the_reference():
    reference = SpinReference()
    for _ in range(20):
        reference.learn(burst(100, 100))
    for _ in range(100):
        reference.learn(burst(55, 55))
    assert reference.rate == 100
