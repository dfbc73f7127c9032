"""Several ranks' bursts as one."""

import pytest
from fake_worker import burst, warmup
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tensordyno.run.joint import joint

STRETCHES = st.tuples(
    st.floats(0, 0.005), st.floats(0.4, 0.42), st.integers(1, 1000)
)  # start, duration, images


def test_a_single_rank_is_left_as_it_is():
    alone = burst(1.0)
    assert joint([alone]) is alone


@given(st.lists(STRETCHES, min_size=2, max_size=8))
def test_the_joint_throughput_is_the_sum_and_ends_between_the_first_and_the_last(stretches):
    reports = [burst(*stretch) for stretch in stretches]
    whole = joint(reports).burst
    rates = [r.burst.images / r.burst.duration_s for r in reports]
    assert whole.images / whole.duration_s == pytest.approx(sum(rates))
    assert [rank.images_per_s for rank in whole.ranks] == pytest.approx(rates)
    longest = max(r.burst.duration_s for r in reports)
    shortest = min(r.burst.duration_s for r in reports)
    assert shortest * 0.999 <= whole.duration_s <= longest * 1.001
    assert whole.batches == sum(r.burst.batches for r in reports) == len(joint(reports).latencies_s)
    assert not whole.contended


@given(st.permutations(range(4)))
def test_the_order_of_ranks_changes_no_sum(order):
    reports = [burst(0.001 * i, 0.4 + 0.01 * i, 10 + i) for i in range(4)]
    first, other = joint(reports).burst, joint([reports[i] for i in order]).burst
    assert other.duration_s == pytest.approx(first.duration_s) and other.images == first.images


def test_ranks_that_did_not_run_side_by_side_do_not_count():
    assert joint([burst(0.0), burst(0.1)]).burst.contended
    assert not joint([burst(0.0), burst(0.02)]).burst.contended
    assert joint([burst(0.0), burst(0.0, contended=True)]).burst.contended


def test_all_ranks_must_be_done_and_the_widest_interval_speaks():
    done, undone = burst(done=True, half_width=0.004), burst(done=False, half_width=0.02)
    assert not joint([done, undone]).done and joint([done, done]).done
    assert joint([done, undone]).half_width == 0.02
    assert joint([done, burst()]).half_width is None


def test_warm_ups_and_device_times_are_put_together():
    timed = [
        replace(r, burst=replace(r.burst, device_s=0.3), warmup=warmup(w))
        for r, w in ((burst(), 1.0), (burst(), 2.0))
    ]
    whole = joint(timed)
    assert whole.burst.device_s == pytest.approx(0.6)
    assert (whole.warmup.stop_s, whole.warmup.batches, whole.warmup.settled) == (2.0, 6, True)
    assert joint([timed[0], burst()]).burst.device_s is None
    assert joint([burst(), burst()]).warmup is None


def test_the_worse_probe_stands_for_all():
    worse = burst()
    probe = replace(worse.burst.before, loss=0.5)
    worse = replace(worse, burst=replace(worse.burst, before=probe))
    assert joint([burst(), worse]).burst.before.loss == 0.5
    blind = replace(worse, burst=replace(worse.burst, before=None))
    assert joint([burst(), blind]).burst.before is None
