import numpy as np
import pytest

from tensordyno.cli.accuracy import _FLAGS, MEMBER
from tensordyno.cli.flags import CALIBRATION
from tensordyno.records.model import PreprocessingChange
from tensordyno.spec.schema import CalibrationAxes
from tensordyno.spec.yaml_file import dump, spec_from_text
from tensordyno.vocabulary import Precision, Task


@pytest.fixture
def asked(asked_of):
    return asked_of("accuracy")


def test_defaults_compare_fp32_with_int8_on_all_images(asked):
    seen = asked("lenet5_fashion resnet8_fashion")
    spec = seen["spec"]
    assert spec.task is Task.ACCURACY and spec.name == "lenet5_fashion-resnet8_fashion"
    assert [m.name for m in spec.models] == ["lenet5_fashion", "resnet8_fashion"]
    assert [e.name for e in spec.engines] == ["onnxruntime", "openvino"]
    assert spec.precisions == (Precision.FP32, Precision.INT8) and spec.batch_sizes == (32,)
    assert spec.calibration == CalibrationAxes() and spec.dataset is None
    assert spec.accuracy_images > 10**9
    assert spec.telemetry.sources == () and not spec.telemetry.overhead
    assert spec_from_text(dump(spec), "dumped").spec == spec
    assert (seen["output"], seen["as_json"], seen["report"]) == (None, False, True)


def test_on_a_gpu_the_default_engines_run_there(asked):
    spec = asked("lenet5_fashion --device cuda:0")["spec"]
    assert [e.name for e in spec.engines] == ["onnxruntime", "torch"]
    assert spec.devices == ("cuda:0",) and not spec.ceilings and not spec.largest_batch


def test_every_flag_reaches_the_spec(asked):
    seen = asked(
        "a.onnx --data photos --precision fp32,bf16,int8 --engine openvino --images 100 --batch 8 "
        "--device cpu "
        "--threads 2 --seed 3 --skip-unreadable --calibration 10x5,50x25 --method mse,percentile:99 "
        "--calibration-data others --calibration-seed 0,7 --keep-fp32 auto --max-drop 0.01 --fp32-first "
        "--fp32-last --preprocess resize=64,mean=0.5,channels=bgr --set verify_images=8 "
        "-o out --json --no-report"
    )
    spec = seen["spec"]
    assert (spec.dataset, spec.accuracy_images, spec.batch_sizes, spec.threads) == ("photos", 100, (8,), 2)
    assert spec.precisions == (Precision.FP32, Precision.BF16, Precision.INT8)
    assert (spec.seed, spec.skip_unreadable, spec.verify_images) == (3, True, 8)
    assert spec.calibration == CalibrationAxes(
        data="others",
        images=("10x5", "50x25"),
        methods=("mse", "percentile:99"),
        seeds=(0, 7),
        keep_fp32="auto",
        max_drop=0.01,
        first_layer=False,
        last_layer=False,
    )
    assert spec.preprocessing == PreprocessingChange(resize=64, mean=(0.5,), channels="bgr")
    assert (str(seen["output"]), seen["as_json"], seen["report"]) == ("out", True, False)


def test_no_flag_is_forgotten():
    options = {p.name for p in MEMBER.params if p.name != "models"}
    about_the_run = {"sets", "output", "dry_run", "as_json", "no_report"}
    assert options == {*_FLAGS, *CALIBRATION, "weights", *about_the_run}


def test_weights_are_one_for_all_or_one_for_each(asked, dyno):
    one = asked("a b --weights w.pt")["spec"]
    assert [m.weights for m in one.models] == ["w.pt", "w.pt"]
    each = asked("a b --weights v.pt --weights w.pt")["spec"]
    assert [(m.name, m.weights) for m in each.models] == [("a", "v.pt"), ("b", "w.pt")]
    ended = dyno("accuracy", "a", "b", "c", "--weights", "v.pt", "--weights", "w.pt")
    assert ended.status == 2 and ended.err.startswith("dyno: --weights is given 2 times for 3 models.")
    assert ended.err.endswith("[weights-count]\n")


@pytest.mark.parametrize(
    ("arguments", "slug"),
    [
        ("resnet50 --data {data}", "random-weights"),
        ("lenet5_fashion --data {flat}", "no-labels"),
        ("lenet5_fashion --data synthetic", "no-labels"),
        ("lenet5_fashion --calibration-data {empty}", "empty-data"),
        ("lenet5_fashion --data {empty}", "empty-data"),
        ("lenet5_fashion --data nowhere/x", "missing-data"),
        ("lenet5_fashion --calibration-data nowhere/x", "missing-data"),
        ("lenet5_fashion --data {one}", "too-few-to-hold-out"),
        ("lenet5_fashion --method entropi", "unknown-calibration-method"),
        ("lenet5_fashion --method percentile:0", "bad-method"),
        ("lenet5_fashion --calibration 50", "bad-calibration"),
        ("lenet5_fashion --calibration-seed x", "bad-value"),
        ("lenet5_fashion --keep-fp32 all", "bad-value"),
        ("lenet5_fashion --max-drop 3", "bad-value"),
        ("lenet5_fashion --precision fp32 --method mse", "calibration-without-int8"),
        ("lenet5_fashion --preprocess bgr", "bad-preprocessing"),
        ("lenet5_fashion --preprocess channels=gray", "bad-value"),
        ("lenet5_fashion --images -1", "bad-value"),
        ("missing.onnx", "missing-model"),
        ("lenet5_fashin", "unknown-model"),
        ("lenet5_fashion --weights missing.pt", "missing-weights"),
    ],
)
def test_what_cannot_be_told_is_one_line_before_anything_runs(dyno, tmp_path, arguments, slug):
    places = {name: tmp_path / name for name in ("data.npz", "flat.npz", "one.npz", "empty")}
    np.savez(places["data.npz"], x=np.arange(9 * 784, dtype=np.uint8).reshape(9, 28, 28), y=np.zeros(9, int))
    np.savez(places["flat.npz"], x=np.arange(9 * 784, dtype=np.uint8).reshape(9, 28, 28))
    np.savez(places["one.npz"], x=np.zeros((1, 28, 28), np.uint8), y=np.zeros(1, int))
    places["empty"].mkdir()
    before = sorted(tmp_path.iterdir())
    shown = {name.removesuffix(".npz"): path for name, path in places.items()}
    ended = dyno("accuracy", *arguments.format(**shown).split())
    assert ended.status == 2 and ended.out == ""
    assert ended.err.startswith("dyno: ") and ended.err.endswith(f"[{slug}]\n") and ended.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_dry_run_prints_the_plan(dyno):
    ended = dyno("accuracy", "lenet5_fashion", "--method", "entropy,mse", "--engine", "openvino", "--dry-run")
    assert ended.status == 0
    assert ended.out.splitlines() == [
        "run   lenet5_fashion-openvino-fp32-b32-host",
        "run   lenet5_fashion-openvino-int8-b32-host-entropy",
        "run   lenet5_fashion-openvino-int8-b32-host-mse",
        "3 trials, 0 skipped",
    ]
