import pytest

from tensordyno.analysis.roofline import device_of, intensity, roof, roofline, roofs
from tensordyno.analysis.scores import scores
from tensordyno.records.build import Receipt
from tensordyno.records.device import Ceiling, DevicePage
from tensordyno.records.model import ModelFacts, Preprocessing
from tensordyno.records.outcome import RankFacts
from tensordyno.vocabulary import WeightsKind

from .builders import bursts, changed, outcome, run, trial

RESNET50 = ModelFacts(
    name="resnet50",
    input_shape=(3, 224, 224),
    classes=1000,
    parameters=25_557_032,
    macs=4_089_184_256,
    weights=WeightsKind.RANDOM,
    weights_hash="a",
    preprocessing=Preprocessing(),
    activations=27_351_016,
)
H200 = "NVIDIA H200"
CEILINGS = (
    Ceiling(what="matmul", precision="fp16", rate=686e12),
    Ceiling(what="matmul", precision="int8", rate=962e12),
    Ceiling(what="copy", rate=4.29e12),
)
PAGE = DevicePage(device="gpu0", name=H200, ceilings=CEILINGS)
ROOFS = roofs([PAGE])


def of(device=H200, model=RESNET50, **fields):
    asked = trial(
        **({"precision": "fp16", "batch_size": 256, "device": "cuda:0", "engine": "torch"} | fields)
    )
    receipt = Receipt(engine="torch", version="2", device=device, threads=2)
    return changed(outcome(asked), model=model, receipt=receipt)


def test_shares_of_what_was_measured_and_of_what_is_published():
    found = roofline(of(), 31_391.0, ROOFS)
    operations = 2 * 4_089_184_256 * 31_391
    assert found == {
        "operations_per_s": pytest.approx(operations),
        "intensity": pytest.approx(2 * 4_089_184_256 / (2 * (27_351_016 + 25_557_032 / 256))),
        "ceiling_share": pytest.approx(operations / 686e12),
        "peak_share": pytest.approx(operations / 989.5e12),
    }


@pytest.mark.parametrize(
    ("precision", "bytes_"), [("fp32", 4), ("tf32", 4), ("fp16", 2), ("bf16", 2), ("int8", 1), ("fp8", 1)]
)
def test_a_byte_is_good_for_more_operations_in_a_narrower_format(precision, bytes_):
    expected = 2 * RESNET50.macs / (bytes_ * (RESNET50.activations + RESNET50.parameters / 8))
    assert intensity(RESNET50, precision, 8) == pytest.approx(expected)


def test_weights_are_read_once_a_batch():
    one, many = intensity(RESNET50, "int8", 1), intensity(RESNET50, "int8", 4096)
    assert one == pytest.approx(2 * 4.089e9 / 52.9e6, rel=1e-3)
    assert many == pytest.approx(2 * 4.089e9 / 27.35e6, rel=1e-3)


def test_several_devices_reach_for_as_many_roofs():
    alone, together = roofline(of(), 1000.0, ROOFS), roofline(of(devices=4), 4000.0, ROOFS)
    assert together["operations_per_s"] == 4 * alone["operations_per_s"]
    assert together["ceiling_share"] == pytest.approx(alone["ceiling_share"])
    assert together["peak_share"] == pytest.approx(alone["peak_share"])


def test_without_a_page_only_the_published_figure_is_known():
    found = roofline(of(), 1000.0, {})
    assert found["ceiling_share"] is None and found["peak_share"] > 0
    unknown = roofline(of("AMD EPYC"), 1000.0, ROOFS)
    assert unknown["ceiling_share"] is unknown["peak_share"] is None and unknown["operations_per_s"] > 0


def test_a_precision_that_was_not_measured_has_no_share():
    found = roofline(of(precision="tf32"), 1000.0, ROOFS)
    assert found["ceiling_share"] is None and found["peak_share"] > 0


def test_records_from_before_traffic_was_counted_have_no_intensity():
    old = changed(RESNET50, activations=0)
    found = roofline(of(model=old), 1000.0, ROOFS)
    assert found["intensity"] is None and found["peak_share"] > 0


@pytest.mark.parametrize(
    "changes", [{"engine": "null"}, {"model": None}, {"model": changed(RESNET50, macs=0)}]
)
def test_what_computes_nothing_has_no_rate(changes):
    assert roofline(of(**changes), 1000.0, ROOFS) == {}


def test_a_trial_that_was_not_measured_has_an_intensity_only():
    assert roofline(of(), None, ROOFS).keys() == {"intensity"}


def test_devices_that_differ_have_no_common_roof():
    def ranks(*names):
        return tuple(RankFacts(index=i, device=f"cuda:{i}", name=n, pid=i) for i, n in enumerate(names))

    mixed = changed(of(devices=2), ranks=ranks(H200, "Tesla T4"))
    assert device_of(mixed) == "" and device_of(changed(mixed, ranks=ranks(H200, H200))) == H200
    found = roofline(mixed, 1000.0, ROOFS)
    assert "peak_share" not in found and found["operations_per_s"] > 0


def test_one_measured_device_stands_for_all_of_its_name():
    other = DevicePage(device="gpu1", name=H200, reason="measured on another device of the same name")
    for pages in ([PAGE, other], [other, PAGE]):
        assert roofs(pages) == {H200: roof(H200, PAGE)}
    found = roof(H200, PAGE)
    assert (found.matmul, found.copy, found.peak.name) == (
        {"fp16": 686e12, "int8": 962e12},
        4.29e12,
        "H200 SXM",
    )


def test_a_runs_scores_have_them(tmp_path):
    measured = changed(of(), bursts=bursts())
    (row,) = scores(run(tmp_path, [measured], pages=(PAGE,)))
    assert row.operations_per_s == pytest.approx(2 * RESNET50.macs * row.images_per_s.value)
    assert row.ceiling_share == pytest.approx(row.operations_per_s / 686e12)
