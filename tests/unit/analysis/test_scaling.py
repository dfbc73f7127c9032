"""Several devices: each one's own throughput, speed-up, efficiency."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_gpu_run import GpuStory, make_gpu_run

from tensordyno.analysis.ratio import throughput_ratio
from tensordyno.analysis.scaling import device_rates, efficiency, of_devices, scaling, spread_of
from tensordyno.analysis.scores import scores
from tensordyno.analysis.summary import flat
from tensordyno.records.burst import Burst, RankBurst
from tensordyno.store.reader import read_run
from tensordyno.timing.intervals import Interval
from tensordyno.vocabulary import Precision, Verdict

from .builders import bursts, changed, outcome, run, trial

RATES = st.lists(st.floats(10, 1e5), min_size=2, max_size=8)


def joint(rates, start_s=0.0, seconds=0.5, contended=False):
    """A joint burst of ranks at these rates, as the node reports it."""
    ranks = tuple(
        RankBurst(start_s=start_s, stop_s=start_s + seconds, batches=10, images=round(r * seconds * 1e6))
        for r in rates
    )
    images = sum(rank.images for rank in ranks)
    return Burst(
        start_s=start_s,
        stop_s=start_s + images / sum(rank.images_per_s for rank in ranks),
        batches=10 * len(ranks),
        images=images,
        ranks=ranks,
        contended=contended,
    )


def several(name, measured, count=2, **fields):
    return outcome(trial(name, devices=count, device="cuda:0", **fields), measured=measured)


def alone(name="one", rate=160.0, **fields):
    return outcome(trial(name, device="cuda:0", **fields), measured=bursts(rate))


def doubled(rate=160.0, share=1.0):
    """Six joint bursts of two ranks, each at `share` of the rate."""
    return [joint([rate * share * 1e-6] * 2, start_s=10.0 + i) for i in range(6)]


@given(RATES)
def test_each_rank_has_the_mean_of_its_kept_bursts(rates):
    slower = [0.5 * rate for rate in rates]
    lost = joint([1.0] * len(rates), contended=True)
    found = device_rates([joint(rates), lost, joint(slower)])
    assert found == pytest.approx([0.75e6 * rate for rate in rates], rel=1e-4)


@given(RATES, st.randoms())
def test_the_order_of_the_ranks_changes_nothing_but_the_order(rates, random):
    other = random.sample(rates, len(rates))
    one, two = of_devices([joint(rates)]), of_devices([joint(other)])
    assert one["device_spread"] == pytest.approx(two["device_spread"])
    assert sorted(one["images_per_s_per_device"]) == pytest.approx(sorted(two["images_per_s_per_device"]))


@given(RATES)
def test_ranks_add_up_to_the_throughput_of_the_burst(rates):
    burst = joint(rates)
    assert sum(device_rates([burst])) == pytest.approx(burst.images / burst.duration_s)


@given(st.integers(1, 8), st.floats(50, 5000))
def test_identical_ranks_have_an_efficiency_of_one(count, rate):
    single = bursts(rate, 6)
    together = [
        changed(b, images=count * b.images, batches=count * b.batches, start_s=b.start_s, stop_s=b.stop_s)
        for b in single
    ]
    ratio = throughput_ratio(together, single)
    assert efficiency(ratio.interval, count).value == pytest.approx(1.0)


def test_a_single_device_has_no_ranks():
    assert device_rates(bursts()) == ()
    assert of_devices(bursts()) == {}
    assert of_devices([]) == {}


def test_a_rank_that_did_nothing_leaves_no_spread():
    idle = RankBurst(start_s=0.0, stop_s=0.5, batches=0, images=0)
    burst = changed(joint([1.0, 1.0]), ranks=(idle, joint([1.0]).ranks[0]))
    assert of_devices([burst])["device_spread"] is None
    assert spread_of([]) is None


def test_speed_up_is_over_the_same_build_on_one_device(tmp_path):
    stored = run(
        tmp_path,
        [alone(), alone("other batch", 50.0, batch_size=32), several("two", doubled(share=0.95))],
    )
    found = scaling(stored)
    assert set(found) == {"two"}
    assert found["two"]["speedup"].value == pytest.approx(1.9, rel=1e-3)
    share = found["two"]["scaling_efficiency"]
    assert share.value == pytest.approx(0.95, rel=1e-3)
    assert share.low <= share.value <= share.high


@pytest.mark.parametrize(
    "fields",
    [
        {"engine": "torch"},
        {"precision": "fp16"},
        {"model": "vgg16"},
        {"weights": "other.pt"},
        {"dataset": "fashion"},
        {"allocator": "keep"},
        {"options": {"mode": "max-autotune"}},
    ],
)
def test_another_build_is_no_reference(tmp_path, fields):
    stored = run(tmp_path, [alone(**fields), several("two", doubled())])
    found = scaling(stored)["two"]
    assert "speedup" not in found and found["device_spread"] == pytest.approx(0.0)


def test_only_a_valid_trial_is_a_reference(tmp_path):
    stored = run(tmp_path, [changed(alone(), verdict=Verdict.UNSTABLE), several("two", doubled())])
    assert "speedup" not in scaling(stored)["two"]


def test_another_first_device_is_no_reference(tmp_path):
    other = outcome(trial("one", device="cuda:1"), measured=bursts())
    assert "speedup" not in scaling(run(tmp_path, [other, several("two", doubled())]))["two"]


def test_what_was_not_measured_says_nothing(tmp_path):
    crashed = changed(several("two", ()), verdict=Verdict.CRASHED)
    assert scaling(run(tmp_path, [alone(), crashed])) == {}


def test_too_few_bursts_give_no_interval_and_no_speed_up(tmp_path):
    found = scaling(run(tmp_path, [alone(), several("two", doubled()[:2])]))["two"]
    assert "speedup" not in found and len(found["images_per_s_per_device"]) == 2


def test_efficiency_scales_the_whole_interval():
    found = efficiency(Interval(value=3.8, low=3.6, high=4.0), 4)
    assert (found.value, found.low, found.high) == pytest.approx((0.95, 0.9, 1.0))


def test_scores_of_a_whole_run(tmp_path):
    stored = read_run(make_gpu_run(tmp_path / "run", GpuStory(models=("resnet50",), batches=(256,))))
    rows = {s.trial: s for s in scores(stored)}
    one, four = (rows[f"resnet50.torch.fp16.b256.x{n}"] for n in (1, 4))
    assert one.speedup is None and one.images_per_s_per_device == () and one.device_spread is None
    assert len(four.images_per_s_per_device) == 4 and four.precision == Precision.FP16
    assert sum(four.images_per_s_per_device) == pytest.approx(four.images_per_s.value, rel=1e-2)
    assert 0.95 < four.scaling_efficiency.low < four.scaling_efficiency.high < 0.98
    assert four.speedup.value == pytest.approx(4 * four.scaling_efficiency.value)
    row = flat(four)
    assert row["speedup_ci95"] == [four.speedup.low, four.speedup.high]
    assert row["images_per_s_per_device"] == list(four.images_per_s_per_device)
