"""The answer in words."""

import re

import pytest
from msgspec.structs import replace

from tensordyno.analysis.baseline import bursts_of, relative
from tensordyno.report.answer import Words
from tensordyno.vocabulary import Verdict


@pytest.fixture(scope="module")
def words(run, rows):
    return Words(run, rows, relative(rows, bursts_of(run), "onnxruntime"), "onnxruntime")


def test_the_headline_is_the_answer(words, rows):
    assert words.headline(rows) == (
        "resnet50 runs fastest on openvino bf16: 111 images/s at batch 32, "
        "2.09 times onnxruntime fp32 at batch 32."
    )


def test_each_network_has_its_three_answers_in_the_order_of_the_trials(words, rows):
    first, second = words.answers(rows)
    assert (first.name, second.name) == ("resnet50", "lenet5_fashion")
    assert [b.heading for b in first.bests] == [
        "Highest throughput",
        "Lowest latency",
        "Fastest within 100 ms",
    ]
    throughput, latency, bounded = first.bests
    assert (throughput.value, throughput.unit, throughput.doubt) == ("111", "images/s", "110–112")
    assert throughput.who == "openvino bf16, batch 32" and throughput.colour == "#009e73"
    assert throughput.notes == (
        "2.09× (2.04–2.14) the throughput of onnxruntime fp32 at batch 32",
        "not told apart from openvino bf16, batch 8",
    )
    assert (latency.value, latency.unit) == ("9.48", "ms (median)")
    assert "judged on the worst of 36 batches: 76.1 ms, not certain with so few samples" in bounded.notes


def test_facts_say_what_the_weights_allow(words, rows):
    first, second = words.answers(rows)
    assert (
        first.facts == "18 valid trials, 25.6 M parameters, 4.09 GMACs an image, random weights: speed only"
    )
    assert "top-1 90.75 % (89.4–91.9) on fashion" in second.facts


def test_a_bound_that_nothing_keeps_is_said_so(run, rows):
    from dataclasses import replace as changed

    tight = changed(run, header=replace(run.header, latency_bound_s=1e-6))
    best = Words(tight, rows, {}, "").answers(rows)[0].bests[-1]
    assert (best.heading, best.who) == ("Fastest within 1.00 µs", "Nothing keeps this bound.")


def test_the_baseline_itself_may_win(run, rows):
    only = [s for s in rows if s.engine_name == "onnxruntime"]
    best = Words(run, only, {}, "onnxruntime").answers(only)[0].bests[0]
    assert "this is the baseline" in best.notes


def test_nothing_valid_has_no_answer(words, rows):
    none = [replace(s, verdict=Verdict.UNSTABLE) for s in rows]
    assert words.answers(none) == ()
    assert words.headline(none) == "No trial is VALID: there is nothing to rank."


def test_a_faster_number_format_is_named_with_its_price(int8):
    made = int8[2]
    assert made.headline.endswith("3.40 times onnxruntime fp32 at batch 32, for 0.20 points of top-1.")
    throughput, latency, _ = made.answers[0].bests
    for best in (throughput, latency):
        assert "top-1 −0.20 points against FP32 (−0.57 to +0.17)" in best.notes


def test_what_loses_right_answers_is_set_aside_and_counted(int8):
    run, scores, _ = int8
    bad = [
        replace(s, top1_difference=replace(s.top1_difference, value=-0.05, high=-0.03))
        if s.top1_difference and s.engine_name == "openvino"
        else s
        for s in scores
    ]
    first = Words(run, bad, {}, "").answers(bad)[0]
    assert "2 more not recommended because they lose right answers" in first.facts
    assert first.bests[0].who.startswith("onnxruntime int8")


def test_several_devices_stand_beside_one(gpu):
    made = gpu[2]
    first = made.answers[0]
    assert [a.name for a in made.answers] == ["resnet50", "vgg16"]
    assert [b.heading for b in first.bests if "throughput" in b.heading] == [
        f"Highest throughput, {n}" for n in ("1 GPU", "2 GPUs", "4 GPUs")
    ]
    four = first.bests[-1]
    assert four.who.endswith("batch 256 on each")
    assert re.fullmatch(r"3\.8\d× \(.*\) the throughput of one, efficiency 96\.\d % \(.*\)", four.notes[0])
    assert re.search(
        r" at batch 256 on 1 GPU, .*; [\d,]+ images/s on 4 GPUs, efficiency 9\d\.\d %\.$", made.headline
    )


def test_a_place_within_the_network_s_name_is_set_off_by_commas(run, rows):
    apart = [
        replace(s, boundary="device") if s.model == "resnet50" and i % 2 else s for i, s in enumerate(rows)
    ]
    assert re.match(r"resnet50, \w+ boundary, runs fastest on ", Words(run, apart, {}, "").headline(apart))
