"""Each warning appears when it is due, names its trials, and is silent on a clean run."""

import inspect
import sys

import pytest
from msgspec.structs import replace

from tensordyno.analysis.checks import CHECKS, warnings
from tensordyno.analysis.energy import Energy
from tensordyno.analysis.scores import score, scores
from tensordyno.analysis.trial_checks import energy_unknown
from tensordyno.records.build import Accuracy
from tensordyno.records.machine import RunFooter
from tensordyno.records.reading import Overhead, SamplerFacts, Unavailable
from tensordyno.records.trial import Measurement, Plan, Skip
from tensordyno.vocabulary import Boundary, Task, Verdict, WeightsKind

from .builders import answers, burst, bursts, changed, counted, header, latencies_of, outcome, run, trial

MANY = bursts(160, 60)
POWERED = Energy(method="counter", joules_per_image=1.0, power_w=1.0)


def clean(name="t", **fields):
    return outcome(trial(name, **fields), measured=MANY)


def found(root, outcomes, **fields):
    """Warnings by slug, energy known unless a test is about it."""
    powered = fields.pop("powered", True)
    stored = run(root, outcomes, **fields)
    if powered:
        rows = [score(o, latencies_of(o.bursts), POWERED) for o in outcomes]
        rows += [r for r in scores(stored) if r.verdict is Verdict.SKIPPED]
    else:
        rows = scores(stored)
    return {w.slug: w for w in warnings(stored, rows)}


def test_a_clean_run_has_no_warnings(tmp_path):
    assert found(tmp_path, [clean()]) == {}


def is_check(thing, module):
    return inspect.isfunction(thing) and thing.__module__ == module.__name__


def test_every_check_is_listed_once():
    modules = {sys.modules[check.__module__] for check in CHECKS}
    written = {f for m in modules for n, f in vars(m).items() if is_check(f, m) and not n.startswith("_")}
    assert set(CHECKS) == written
    assert len(set(CHECKS)) == len(CHECKS)


TRIALS = {
    "random-weights": outcome(measured=MANY, weights=WeightsKind.RANDOM),
    "contended": outcome(measured=[*MANY, burst(start_s=99, contended=True)]),
    "too-few-samples": outcome(),
    "unreadable-skipped": outcome(
        measured=MANY, accuracy=Accuracy(images=19, top1_correct=9, top5_correct=15, unreadable=1)
    ),
    "unstable": outcome(measured=MANY, verdict=Verdict.UNSTABLE),
    "failed": outcome(measured=(), verdict=Verdict.TIMED_OUT),
    "refused": outcome(measured=(), verdict=Verdict.UNSUPPORTED, verification=None),
    "probe-unknown": outcome(measured=[*MANY, burst(start_s=99, probed=False, batches=10, duration_s=0.5)]),
    "default-malloc": clean(engine="torch-compile"),
    "fake-clock": clean(measurement=Measurement(clock="fake")),
    "bursts-drift": outcome(measured=[b for i in range(60) for b in bursts(160 + i, 1, start_s=i)]),
}


@pytest.mark.parametrize("slug", TRIALS)
def test_warnings_about_trials(tmp_path, slug):
    bad = changed(TRIALS[slug], trial=changed(TRIALS[slug].trial, id="bad"))
    warned = found(tmp_path, [bad, clean("good")])
    assert list(warned) == [slug]
    assert warned[slug].trials == ("bad",)
    assert warned[slug].sentence.endswith(".")


def test_a_failed_verification_is_not_called_a_failure_twice(tmp_path):
    wrong = outcome(measured=(), verdict=Verdict.INVALID)
    wrong = changed(wrong, verification=changed(wrong.verification, passed=False, reason="x"))
    assert list(found(tmp_path, [wrong])) == ["verification-failed"]


def test_random_weights_say_speed_only(tmp_path):
    assert (
        found(tmp_path, [TRIALS["random-weights"]])["random-weights"].sentence
        == "Random weights: speed only."
    )


@pytest.mark.parametrize("quiet", [{"batch_size": 1}, {"allocator": "keep"}, {"device": "cuda:0"}])
def test_malloc_is_pytorchs_matter_on_cpus_at_large_batches(tmp_path, quiet):
    assert found(tmp_path, [clean(engine="torch", **quiet)]) == {}


def test_steady_and_noisy_bursts_do_not_drift(tmp_path):
    assert found(tmp_path, [outcome(measured=bursts(160, 60, scatter=0.02))]) == {}


def test_skips_are_listed_with_their_reasons(tmp_path):
    skips = [Skip(trial=trial("s", precision="fp8"), reason="No fp8 on this CPU.")]
    warned = found(tmp_path, [clean()], skips=skips)
    assert warned["skipped"].sentence == "1 trial skipped: No fp8 on this CPU."
    assert warned["skipped"].trials == ("s",)


@pytest.mark.parametrize(
    ("slug", "fields", "says"),
    [
        ("governor", {"head": header(machine={"governor": "powersave"})}, "'powersave'"),
        ("virtual-machine", {"head": header(machine={"virtual": "KVM"})}, "KVM"),
        ("unfinished", {"footer": None}, "did not come to its end"),
        ("unfinished", {"footer": RunFooter(finished="x", interrupted=True)}, "stopped by the user"),
        ("unfinished", {"truncated": True}, "did not come to its end"),
        (
            "telemetry-late",
            {
                "sampler": SamplerFacts(
                    interval_s=0.1, samples=100, late=6, worst_lateness_s=0.3, mean_cost_s=0.01
                )
            },
            "6 of 100",
        ),
        (
            "telemetry-overhead",
            {"overhead": Overhead(ratio=0.98, low=0.97, high=0.99, rounds=9, interval_s=0.1)},
            "2.0 %",
        ),
        ("baseline-missing", {"head": header(baseline="openvino")}, "'openvino'"),
    ],
)
def test_warnings_about_the_run(tmp_path, slug, fields, says):
    warned = found(tmp_path, [clean()], **fields)
    assert list(warned) == [slug]
    assert says in warned[slug].sentence


@pytest.mark.parametrize(
    "fields",
    [
        {"head": header(machine={"governor": "performance"})},
        {"head": header(baseline="onnxruntime")},
        {
            "sampler": SamplerFacts(
                interval_s=0.1, samples=100, late=5, worst_lateness_s=0.3, mean_cost_s=0.01
            )
        },
        {"overhead": Overhead(ratio=0.98, low=0.96, high=1.0, rounds=9, interval_s=0.1)},
    ],
)
def test_no_warning_without_cause(tmp_path, fields):
    assert found(tmp_path, [clean()], **fields) == {}


def test_trials_that_never_ended_are_counted(tmp_path):
    stored = run(tmp_path, [clean("a")])
    stored.plan = Plan(trials=(trial("a"), trial("b")))
    (warning,) = [w for w in warnings(stored, scores(stored)) if w.slug == "unfinished"]
    assert warning.trials == ("b",)
    assert "1 of 2 trials are missing" in warning.sentence
    assert "dyno run --resume" in warning.sentence


def test_energy_unknown_says_why(tmp_path):
    reason = Unavailable(source="rapl", reason="no counters here")
    warned = found(tmp_path, [clean()], powered=False, unavailable=(reason,))
    assert warned["energy-unknown"].sentence == "Energy is unknown: no counters here."


def test_energy_that_nobody_asked_for_is_not_missed(tmp_path):
    asked = clean("a")
    unasked = clean("b", measurement=Measurement(energy_seconds=0.0))
    assert found(tmp_path, [asked, unasked], powered=False)["energy-unknown"].trials == ("a",)


def test_reasons_that_differ_in_a_number_are_one_warning(tmp_path):
    stored = run(tmp_path, [clean("a"), clean("b"), clean("c")])
    said = ["0.7 s resolved by the sensor", "1.2 s resolved by the sensor", "no counters"]
    rows = [
        replace(s, joules_per_image=None, energy_method=f"unavailable: {why}")
        for s, why in zip(scores(stored), said, strict=True)
    ]
    one, other = energy_unknown(stored, rows)
    assert one.sentence == "Energy is unknown, for example: 0.7 s resolved by the sensor."
    assert (one.trials, other.trials) == (("a", "b"), ("c",))


def test_threads_matter_on_the_cpu_only(tmp_path):
    one, two = clean("a", device="cuda:0"), clean("b", engine="openvino", device="cuda:0")
    two = changed(two, receipt=changed(two.receipt, threads=1))
    assert "threads-differ" not in found(tmp_path, [one, two])


def test_threads_that_differ(tmp_path):
    one, two = clean("a"), clean("b", engine="openvino")
    two = changed(two, receipt=changed(two.receipt, threads=1))
    assert found(tmp_path, [one, two])["threads-differ"].trials == ("a", "b")


def test_mixed_boundaries(tmp_path):
    rows = [clean("a"), clean("b", boundary=Boundary.DEVICE), clean("c", model="vgg16")]
    assert found(tmp_path, rows)["mixed-boundaries"].trials == ("a", "b")


def test_the_gravest_comes_first(tmp_path):
    warned = found(
        tmp_path, [TRIALS["too-few-samples"], changed(TRIALS["unstable"], trial=trial("u"))], footer=None
    )
    assert list(warned) == ["unfinished", "unstable", "too-few-samples"]


@pytest.mark.parametrize(
    ("rate", "verdict", "warned"), [(320, "unstable", True), (80, "unstable", False), (320, "valid", False)]
)
def test_a_faster_trial_that_did_not_settle_is_not_passed_over_in_silence(tmp_path, rate, verdict, warned):
    settled = outcome(trial("settled", engine="torch"), measured=bursts(160))
    other = outcome(trial("other"), verdict=Verdict(verdict), measured=bursts(rate))
    concerned = found(tmp_path, [settled, other])
    assert ("faster-but-unstable" in concerned) is warned
    if warned:
        assert concerned["faster-but-unstable"].trials == ("other",)
        assert "settled" in concerned["faster-but-unstable"].sentence


def test_right_answers_alone_are_warned_of_no_speed(tmp_path):
    """No throughput, percentile or joule is missing where none was asked for."""
    untimed = outcome(trial("t", task=Task.ACCURACY, engine="torch", batch_size=32), measured=())
    assert found(tmp_path, [untimed], powered=False) == {}
    assert found(tmp_path / "b", [untimed], powered=False, head=header(baseline="torch")) == {}


def test_a_faster_build_that_lost_its_answers_is_not_worth_measuring_longer(tmp_path):
    exact, broken = answers(2000, range(100)), answers(2000, range(200))
    settled = counted("settled", exact, "fp32", facts={"measured": bursts(160)})
    other = counted("other", broken, facts={"measured": bursts(320), "verdict": Verdict.UNSTABLE})
    stored = run(tmp_path, [settled, other], answers={"settled": exact, "other": broken})
    slugs = {w.slug for w in warnings(stored, scores(stored))}
    assert "int8-drop" in slugs and "faster-but-unstable" not in slugs
