"""The whole way on networks that know something: three shipped ones, and one trained here."""

import numpy as np
import onnx
import onnxruntime
import pytest
from msgspec.structs import replace

from tensordyno.errors import DataError, UsageError
from tensordyno.quantize.base import Form
from tensordyno.quantize.choose import CANDIDATES
from tensordyno.quantize.table_file import FILE_NAME, read_table
from tensordyno.records.trial import EngineChoice

METHODS = ("entropy", "percentile", "mse")
POINTS = 0.003  # the most that INT8 may cost: six of 2000 images


@pytest.fixture
def no_inference(monkeypatch):
    """Call it, and from then on nobody can run a network."""

    def refuse(*arguments, **options):
        raise AssertionError("a network was run")

    return lambda: monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)


def table_of(made):
    return read_table(made.folder / FILE_NAME)


def content(made):
    return [made.onnx(form).read_bytes() for form in Form]


@pytest.mark.parametrize("method", METHODS)
def test_int8_costs_the_digits_network_next_to_nothing(digits, method):
    made, reused = digits.quantize(method=method)
    assert not reused and made.table.method == made.table.asked_method == method
    assert digits.drop(made) <= POINTS and digits.drop(made, Form.INT8) <= POINTS
    assert len(made.table.layers) == 4 and all(layer.int8 for layer in made.table.layers)


def test_int8_costs_the_shipped_networks_next_to_nothing(fashion):
    for method in METHODS:
        made, _ = fashion.quantize(method=method)
        assert fashion.drop(made) <= POINTS, method
        assert made.table.images == 500 and made.table.warnings == ()
        assert all(layer.int8 for layer in made.table.layers) and made.table.other_fp32 == {}


def test_the_second_call_runs_nothing(digits, no_inference):
    first, _ = digits.quantize(method="auto", keep_fp32=1)
    heard = digits.heard
    no_inference()
    second, reused = digits.quantize(method="auto", keep_fp32=1)
    assert reused and digits.heard == [] and second == first
    assert {doing for doing, _, _ in heard} == {"calibrating", "comparing methods", "ranking layers"}


def test_another_engine_and_device_use_the_same_files(digits, no_inference):
    first, _ = digits.quantize()
    no_inference()
    second, reused = digits.quantize(device="cuda:0", id="u", engine=EngineChoice(name="openvino"))
    assert reused and second.folder == first.folder


def test_another_method_reuses_the_histograms(digits):
    first, _ = digits.quantize(method="entropy")
    assert digits.heard[-1] == ("calibrating", 300, 300) and first.table.seconds > 0
    for changes in ({"method": "mse"}, {"method": "auto"}, {"first_layer": False}, {"keep_fp32": 2}):
        made, reused = digits.quantize(**changes)
        assert not reused and made.folder != first.folder and made.table.seconds == 0
        assert "calibrating" not in {doing for doing, _, _ in digits.heard}


def test_a_comparison_first_and_a_method_later_share_the_pass_too(digits, tmp_path):
    digits.quantize(method="auto")
    later, _ = digits.quantize(method="entropy")
    assert digits.heard == []
    alone, _ = digits.quantize(method="entropy", root=tmp_path / "another cache")
    assert later.table == replace(alone.table, seconds=0.0) and content(later) == content(alone)


@pytest.mark.parametrize("batches", [(300, 1), (12, 25), (43, 7), (1, 300)])
def test_the_batch_size_does_not_change_the_table(digits, tmp_path, batches):
    """Users of TensorRT report that the accuracy of INT8 depends on it."""
    count, size = batches
    made, _ = digits.quantize(batches=count, batch_size=size, method="auto")
    usual, _ = digits.quantize(batches=3, batch_size=100, method="auto", root=tmp_path / "another cache")
    same = {"batch_size": 100, "seconds": usual.table.seconds}
    assert made.table.batch_size == size and replace(made.table, **same) == usual.table
    assert content(made) == content(usual)


def test_a_table_found_under_another_batch_size_tells_the_one_asked_for(digits):
    digits.quantize(batches=12, batch_size=25)
    made, reused = digits.quantize(batches=3, batch_size=100)
    assert reused and made.table.batch_size == 100


def test_other_images_make_another_table(digits):
    tables = [
        digits.quantize(**changes)[0].table
        for changes in ({}, {"seed": 1, "batches": 5}, {"seed": 2, "batches": 5}, {"batches": 5})
    ]
    assert [table.images for table in tables] == [300, 125, 125, 125]
    assert len({table.data_hash for table in tables}) == 4
    assert len({str(table.ranges) for table in tables}) == 4


def test_one_changed_pixel_is_calibrated_anew(digits, tmp_path):
    first, _ = digits.quantize()
    with np.load(digits.dataset) as stored:
        arrays = {name: stored[name].copy() for name in stored.files}
    arrays["x_calib"][299, 0, 0] ^= 1
    np.savez(tmp_path / "data.npz", **arrays)
    second, reused = digits.quantize(dataset=str(tmp_path / "data.npz"))
    assert not reused and second.folder != first.folder and digits.heard
    arrays["x_calib"][299, 0, 0] ^= 1
    np.savez(tmp_path / "data.npz", **arrays)
    third, reused = digits.quantize(dataset=str(tmp_path / "data.npz"))
    assert reused and third.folder == first.folder and third.table.data == "data.npz"


def test_one_changed_weight_is_calibrated_anew(digits, tmp_path):
    first, _ = digits.quantize()
    model = onnx.load(digits.prepared.onnx)
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "classify.weight")
    values = onnx.numpy_helper.to_array(weights).copy()
    values[0, 0] += 0.001
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    onnx.save(model, tmp_path / "other.onnx")
    digits.prepared = replace(digits.prepared, onnx=tmp_path / "other.onnx")
    second, reused = digits.quantize()
    assert not reused and second.folder != first.folder and digits.heard
    assert second.table.model_hash != first.table.model_hash


def test_auto_lists_all_methods_and_uses_the_best(digits, tmp_path):
    made, _ = digits.quantize(method="auto")
    tried = made.table.tried
    assert made.table.asked_method == "auto" and made.table.method == tried[0].method
    assert sorted(score.method for score in tried) == sorted(CANDIDATES)
    assert [(max(0, s.drop), -s.sqnr_db) for s in tried] == sorted(
        (max(0, s.drop), -s.sqnr_db) for s in tried
    )
    assert {score.images for score in tried} == {60}
    alone, _ = digits.quantize(method=made.table.method, root=tmp_path / "another cache")
    assert alone.table.ranges == made.table.ranges  # from all images, not from those that were compared on


def test_images_without_labels_are_judged_by_agreement(digits, tmp_path):
    with np.load(digits.dataset) as stored:
        np.savez(tmp_path / "bare.npz", x=stored["x"][:64], x_calib=stored["x_calib"])
    made, _ = digits.quantize(dataset=str(tmp_path / "bare.npz"), method="auto", keep_fp32="auto")
    assert [score.drop for score in made.table.tried] == [None] * 5
    assert all(score.agreement > 0.9 for score in made.table.tried)


def test_sensitivity_finds_the_spoilt_layer(spoilt):
    digits, layer = spoilt
    made, _ = digits.quantize(sensitivity=True)
    levels = {fact.name: fact.sqnr_db for fact in made.table.layers}
    assert len(levels) == 4 and min(levels, key=levels.get) == layer
    assert levels[layer] < 10 and sorted(levels.values())[1] > 30
    steps = [step for step in digits.heard if step[0] == "ranking layers"]
    assert steps == [("ranking layers", done, 4) for done in range(5)]
    assert all(fact.int8 for fact in made.table.layers)  # ranked, not kept
    assert digits.drop(made) > 0.03


@pytest.mark.parametrize("count", [1, 2, 3])
def test_exactly_so_many_layers_stay_in_fp32(spoilt, count):
    digits, layer = spoilt
    made, _ = digits.quantize(keep_fp32=count)
    kept = [fact for fact in made.table.layers if not fact.int8]
    assert len(kept) == count and layer in [fact.name for fact in kept]
    assert all(fact.reason and fact.sqnr_db is not None for fact in kept)
    assert digits.drop(made) <= POINTS
    int8 = [node for node in onnx.load(made.onnx(Form.UINT8)).graph.node if node.op_type in ("Conv", "Gemm")]
    weights = {tensor.name for tensor in onnx.load(made.onnx(Form.UINT8)).graph.initializer}
    assert sum(node.input[1] in weights for node in int8) == count  # their weights are float32 as they were


def test_auto_keeps_no_more_than_it_must(spoilt):
    digits, layer = spoilt
    made, _ = digits.quantize(keep_fp32="auto")
    assert [fact.name for fact in made.table.layers if not fact.int8] == [layer]
    assert ("keeping layers", 1, 4) in digits.heard and made.table.warnings == ()
    assert digits.drop(made) <= POINTS


def test_auto_keeps_nothing_where_nothing_is_lost(digits):
    made, _ = digits.quantize(keep_fp32="auto", max_drop=0.02)
    assert all(fact.int8 and fact.sqnr_db is not None for fact in made.table.layers)


def test_a_bound_that_cannot_be_met_is_told(spoilt):
    """Eight images calibrate, two judge: with one of them lost, half of the answers are."""
    digits, _ = spoilt
    made, _ = digits.quantize(keep_fp32="auto", max_drop=-1.0)
    (warning,) = made.table.warnings
    assert warning.endswith("[drop-above-bound]") and "of 4 layers in FP32" in warning
    assert any(fact.int8 for fact in made.table.layers)


@pytest.mark.parametrize("changes", [{"first_layer": False}, {"last_layer": False}])
def test_first_and_last_layer_stay_when_asked(digits, changes):
    made, _ = digits.quantize(**changes)
    position = 0 if "first_layer" in changes else -1
    assert [fact for fact in made.table.layers if not fact.int8] == [made.table.layers[position]]


def test_all_layers_in_fp32_is_no_int8(digits):
    with pytest.raises(DataError) as refused:
        digits.quantize(keep_fp32=4)
    assert refused.value.slug == "nothing-to-quantize"


def test_images_that_test_may_not_calibrate(digits, tmp_path):
    with np.load(digits.dataset) as stored:
        np.savez(tmp_path / "both.npz", x=stored["x"], y=stored["y"])
    both = str(tmp_path / "both.npz")
    with pytest.raises(DataError, match="597 calibration images") as refused:
        digits.quantize(dataset=both)
    assert refused.value.slug == "calibration-overlaps"
    with pytest.raises(DataError, match="597 calibration images"):
        digits.quantize(data=both)
    made, _ = digits.quantize(dataset=both, hold_out=True)
    assert made.table.images == 119
    beyond, _ = digits.quantize(data=both, accuracy_images=0)  # nothing is said of accuracy
    assert beyond.table.images == 597


def test_a_single_shared_image_is_found(digits, tmp_path):
    with np.load(digits.dataset) as stored:
        arrays = {name: stored[name].copy() for name in stored.files}
    arrays["x_calib"][7] = arrays["x"][400]
    np.savez(tmp_path / "data.npz", **arrays)
    shared = str(tmp_path / "data.npz")
    with pytest.raises(DataError, match=r"^1 calibration image is"):
        digits.quantize(dataset=shared)
    digits.quantize(dataset=shared, accuracy_images=400)  # that image is not among these


def test_few_images_are_told(digits):
    made, _ = digits.quantize(batches=1, batch_size=99)
    (warning,) = made.table.warnings
    assert "99 images" in warning and warning.endswith("[few-calibration-images]")
    assert digits.quantize(batches=1, batch_size=100)[0].table.warnings == ()


def test_one_image_calibrates_but_compares_nothing(digits):
    made, _ = digits.quantize(batches=1, batch_size=1)
    assert made.table.images == 1
    with pytest.raises(DataError) as refused:
        digits.quantize(batches=1, batch_size=1, method="auto")
    assert refused.value.slug == "too-few-to-compare"


def test_no_images_is_the_datas_own_error(digits, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as refused:
        digits.quantize(data=str(tmp_path / "empty"))
    assert refused.value.slug == "empty-data"


@pytest.mark.parametrize("wrong", ["entropie", "percentile:many", "percentile:101", "minmax:3"])
def test_a_wrong_method_is_told_before_anything_is_run(digits, no_inference, wrong):
    no_inference()
    with pytest.raises(UsageError) as refused:
        digits.quantize(method=wrong)
    assert refused.value.slug == ("unknown-calibration-method" if wrong == "entropie" else "bad-method")


def test_a_network_quantized_before(digits):
    made, _ = digits.quantize()
    digits.prepared = replace(digits.prepared, onnx=made.onnx(Form.UINT8))
    with pytest.raises(DataError) as refused:
        digits.quantize()
    assert refused.value.slug == "already-quantized"


def test_a_part_that_is_always_zero(digits, tmp_path):
    """A dead layer: its range is a guess, which is told; the answers are those of FP32."""
    model = onnx.load(digits.prepared.onnx)
    for tensor in model.graph.initializer:
        if list(tensor.dims)[:2] == [16, 1]:
            zeros = np.zeros(tensor.dims, np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(zeros, tensor.name))
        elif list(tensor.dims) == [16]:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.full(16, -1, np.float32), tensor.name))
    onnx.save(model, tmp_path / "dead.onnx")
    digits.prepared = replace(digits.prepared, onnx=tmp_path / "dead.onnx")
    made, _ = digits.quantize(method="auto")
    (warning,) = made.table.warnings
    assert warning.startswith("1 of ") and warning.endswith("[zero-range]")
    assert sum(found.high == 0 for found in made.table.ranges.values()) == 1
    assert digits.drop(made) == 0


def test_a_table_is_enough(digits, no_inference, tmp_path):
    """Calibrate once, reuse elsewhere: the same files from the table alone, without an image."""
    made, _ = digits.quantize(keep_fp32=1, method="mse")
    file = made.folder / FILE_NAME
    no_inference()
    again, reused = digits.quantize(table=file, dataset="/no/such/data", root=tmp_path / "elsewhere")
    assert reused and again.folder != made.folder and again.table == table_of(made)
    assert content(again) == content(made)


def test_a_table_of_other_weights_is_refused(digits, spoilt):
    made, _ = digits.quantize()
    with pytest.raises(DataError) as refused:
        spoilt[0].quantize(table=made.folder / FILE_NAME)
    assert refused.value.slug == "table-of-another-model"
