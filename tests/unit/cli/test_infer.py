import pytest

from tensordyno.cli.flags import CALIBRATION, MEASURE
from tensordyno.cli.infer import _FLAGS, MEMBER
from tensordyno.records.model import PreprocessingChange
from tensordyno.records.trial import EngineChoice
from tensordyno.spec.schema import CalibrationAxes
from tensordyno.vocabulary import Boundary, Precision


@pytest.fixture
def asked(asked_of):
    return asked_of("infer")


def test_defaults_ask_for_all_four_engines(asked):
    seen = asked("resnet50")
    spec = seen["spec"]
    assert [m.name for m in spec.models] == ["resnet50"] and spec.name == "resnet50"
    assert [e.name for e in spec.engines] == ["torch", "torch-compile", "onnxruntime", "openvino"]
    assert (spec.precisions, spec.batch_sizes, spec.devices) == ((Precision.FP32,), (1,), ("cpu",))
    assert spec.measure.max_seconds == 30 and spec.dataset is None and spec.seed == 0
    assert (seen["output"], seen["as_json"], seen["report"]) == (None, False, True)


@pytest.mark.parametrize(
    ("devices", "engines"),
    [
        ("cuda:0", ["torch", "torch-compile", "onnxruntime", "forge"]),
        ("cuda, cuda:1", ["torch", "torch-compile", "onnxruntime", "forge"]),
        ("cuda:0,cpu", ["torch", "torch-compile", "onnxruntime", "openvino"]),
    ],
)
def test_the_default_engines_are_those_of_the_devices(dyno, asked, devices, engines):
    seen = asked(f"resnet50 --device {devices.replace(' ', '')}")
    assert [e.name for e in seen["spec"].engines] == engines
    assert [e.name for e in asked("resnet50 --device cuda:0 --engine null")["spec"].engines] == ["null"]


def test_flags_of_several_gpus_and_of_energy(asked):
    spec = asked("resnet50 --device cuda:0,cuda:2 --gpus 1,2,4 --energy-seconds 7.5 --no-ceilings")["spec"]
    assert (spec.devices, spec.gpus) == (("cuda:0", "cuda:2"), (1, 2, 4))
    assert spec.measure.energy_seconds == 7.5 and spec.ceilings is False
    usual = asked("resnet50 --device cuda")["spec"]
    assert (usual.devices, usual.gpus) == (("cuda:0",), (1,))
    assert usual.measure.energy_seconds is None and usual.ceilings and usual.boundaries == (Boundary.HOST,)


def test_every_flag_reaches_the_spec(asked, tmp_path):
    (tmp_path / "w.pt").touch()
    seen = asked(
        "resnet18 vgg16 --engine openvino:hint=throughput,torch --precision fp32,bf16 --batch 1:8:x2,32 "
        "--device cpu --boundary host,device --weights w.pt --data synthetic --threads 3 --allocator keep "
        "--seed 5 --min-seconds 1 --max-seconds 9 --target 0.02 --baseline torch --latency-bound 0.1 "
        "--skip-unreadable --preprocess resize=256,std=0.5 --set telemetry.interval_s=0.5 "
        "-o out --json --no-report"
    )
    spec = seen["spec"]
    assert [m.name for m in spec.models] == ["resnet18", "vgg16"] and spec.name == "resnet18-vgg16"
    assert spec.engines == (
        EngineChoice(name="openvino", options={"hint": "throughput"}),
        EngineChoice(name="torch"),
    )
    assert spec.precisions == (Precision.FP32, Precision.BF16) and spec.batch_sizes == (1, 2, 4, 8, 32)
    assert spec.boundaries == (Boundary.HOST, Boundary.DEVICE) and spec.threads == 3
    assert (spec.weights, spec.dataset, spec.allocator, spec.seed) == ("w.pt", "synthetic", ("keep",), 5)
    assert (spec.measure.min_seconds, spec.measure.max_seconds) == (1, 9)
    assert (spec.measure.target_half_width, spec.baseline, spec.latency_bound_s) == (0.02, "torch", 0.1)
    assert spec.preprocessing == PreprocessingChange(resize=256, std=(0.5,))
    assert spec.skip_unreadable and spec.telemetry.interval_s == 0.5
    assert (str(seen["output"]), seen["as_json"], seen["report"]) == ("out", True, False)


def test_int8_is_calibrated_as_the_flags_say(asked):
    seen = asked(
        "my.onnx --precision fp32,int8 --calibration 10x5 --method mse,auto --keep-fp32 2 --data photos"
    )
    axes = CalibrationAxes(images=("10x5",), methods=("mse", "auto"), keep_fp32=2)
    assert seen["spec"].calibration == axes and seen["spec"].dataset == "photos"


def test_no_flag_is_forgotten():
    """Each option of the command either maps to a key of the spec or is about the run itself."""
    options = {p.name for p in MEMBER.params if p.name != "models"}
    assert options == {*_FLAGS, *MEASURE, *CALIBRATION, "sets", "output", "dry_run", "as_json", "no_report"}


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("--precision fp17", "--precision: precisions[0]"),
        ("--latency-bound=-3", "--latency-bound: latency_bound_s"),
        ("--precision int8 --calibration 50", "--calibration: calibration.images[0]: found '50'"),
        (
            "--precision int8 --method mse,x",
            "--method: calibration.methods[1]: there is no calibration method",
        ),
        ("--precision int8 --max-drop 2", "--max-drop: calibration.max_drop"),
        ("--keep-fp32 2", "--keep-fp32 would change nothing"),
        ("--preprocess mean=300", "--preprocess: preprocessing.mean: found [300.0]"),
        ("--gpus 0", "--gpus: gpus[0]: found 0; allowed: numbers of devices, for example 1,2,4."),
        ("--gpus 1,x", "--gpus: gpus[1]: found 'x'; allowed: numbers of devices, for example 1,2,4."),
        ("--gpus=-2", "--gpus: gpus[0]: found '-2'"),
        ("--gpus 1.5", "--gpus: gpus[0]: found '1.5'"),
        ("--energy-seconds=-1", "--energy-seconds: measure.energy_seconds: found -1.0"),
        ("--device cuda:0,tpu", "--device: devices[1]: found 'tpu'"),
        ("--device cuda:x", "--device: devices[0]: found 'cuda:x'; allowed: cpu, cuda or cuda:N."),
        ("--max-seconds 0 --min-seconds 1", "--max-seconds: measure.max_seconds"),
        ("--target 3", "--target: measure.target_half_width"),
        ("--min-seconds 7 --max-seconds 2", "--min-seconds, --max-seconds: measure: min_seconds 7"),
    ],
)
def test_an_error_names_the_flag(dyno, flags, named):
    ended = dyno("infer", "resnet18", *flags.split())
    assert ended.status == 2 and ended.err.startswith(f"dyno: {named}")


def test_a_dry_run_prints_the_plan(dyno, tmp_path):
    ended = dyno("infer", "lenet5_fashion", "--engine", "null", "--batch", "1,2", "--dry-run")
    assert ended.status == 0 and ended.out.splitlines()[-1] == "2 trials, 0 skipped"
    assert list(tmp_path.iterdir()) == []
