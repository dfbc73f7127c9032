import msgspec
import pytest

from tensordyno.plan.cuda_build import CudaBuild
from tensordyno.plan.feasible import refusal
from tensordyno.plan.host import Host
from tensordyno.records.trial import EngineChoice, Measurement, Trial
from tensordyno.telemetry.gpu_state import Gpus, GpuState
from tensordyno.vocabulary import Precision, Task

TWO_GPUS = Gpus(states=(GpuState(index=0), GpuState(index=1)), driver="580.159.04", cuda=(13, 0))
FULL = Host(
    has_package=lambda name: True,
    gpus=lambda: TWO_GPUS,
    has_glibc=lambda: True,
    cuda_build=lambda package: CudaBuild("2.13.0", "13.0"),
    visible_devices=lambda: None,
)


def trial(engine="torch", precision=Precision.FP32, model="resnet50", python=None, **more):
    choice = EngineChoice(name=engine, python=python)
    return Trial(id="t", model=model, engine=choice, precision=precision, batch_size=1, **more)


def without(*missing):
    return Host(
        has_package=lambda name: name not in missing,
        gpus=lambda: Gpus(reason="there is no NVIDIA driver here"),
        has_glibc=lambda: False,
    )


@pytest.mark.parametrize("engine", ["torch", "torch-compile", "onnxruntime", "openvino", "null"])
def test_fp32_on_the_cpu_is_possible_everywhere(engine):
    assert refusal(trial(engine), FULL) is None


@pytest.mark.parametrize(
    ("asked", "host", "says"),
    [
        (trial("torch", Precision.INT8), FULL, "int8"),
        (trial("torch", Precision.INT8), FULL, "torch-compile"),
        (trial("torch-compile", Precision.INT8, device="cuda:0"), FULL, "CPUs only"),
        (trial("torch", Precision.TF32), FULL, "NVIDIA"),
        (trial("onnxruntime", Precision.BF16), FULL, "bf16"),
        (
            trial("openvino"),
            without("openvino"),
            "The Python package 'openvino' is not installed. Type: pip install 'tensordyno[openvino]'",
        ),
        (trial("onnxruntime"), without("torch"), "'torch' is not installed"),
        (trial(model="timm:resnet50"), without("timm"), "pip install 'tensordyno[timm]'"),
        (trial(model="torchvision:resnet50"), without("torchvision"), "'tensordyno[torchvision]'"),
        (trial("torch", model="a/b.onnx"), FULL, "torch runs PyTorch networks, and a/b.onnx is an ONNX file"),
        (trial("torch", device="cuda:0"), without(), "no NVIDIA driver"),
        (trial("torch", device="cuda:2"), FULL, "cuda:2 does not exist: this machine has 2 NVIDIA GPUs"),
        (trial("torch", allocator="keep"), without(), "glibc"),
        (trial("torch", measurement=Measurement(clock="fake")), FULL, "only the null engine"),
        (trial("torch", task=Task.TRAINING), FULL, "training"),
        (trial("torch", task=Task.ACCURACY, devices=2), FULL, "on one device: leave out gpus"),
        (trial("torch", device="cuda:1", devices=2), FULL, "2 GPUs asked for from cuda:1 on"),
    ],
)
def test_what_cannot_work_says_why(asked, host, says):
    reason = refusal(asked, host)
    assert reason is not None and says in reason
    assert "\n" not in reason


@pytest.mark.parametrize(
    ("asked", "host"),
    [
        (trial("openvino", python="/opt/ov/bin/python"), without("openvino")),
        (trial("onnxruntime", model="a.onnx"), without("torch")),
        (trial("onnxruntime", Precision.INT8), FULL),
        (trial("openvino", Precision.INT8), FULL),
        (trial("torch-compile", Precision.INT8), FULL),
        (trial("torch-compile", Precision.INT8, model="a.onnx"), FULL),  # INT8 is a Q/DQ file anyway
        (trial("torch", device="cuda"), FULL),
        (trial("torch", task=Task.ACCURACY), FULL),
        (trial("torch", device="cuda:1"), FULL),
        (trial("torch", device="cuda:0", devices=2), FULL),
        (trial("torch", devices=2), FULL),
        (trial("null", device="cuda:5", devices=4), without()),
        (trial("torch", allocator="keep"), FULL),
        (trial("null", measurement=Measurement(clock="fake")), FULL),
        (trial(model="mine.nets:build"), FULL),
    ],
)
def test_what_may_work_is_tried(asked, host):
    assert refusal(asked, host) is None


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        ({"cost_s": 0}, True),
        ({"work": "copy"}, True),
        ({}, False),
        ({"cost_s": 0, "per_image_s": 1e-3}, False),
    ],
)
def test_the_fake_clock_needs_batches_that_take_time(options, refused):
    choice = EngineChoice(name="null", options=options)
    asked = msgspec.structs.replace(trial("null", measurement=Measurement(clock="fake")), engine=choice)
    assert bool(refusal(asked, FULL)) is refused


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_a_q_dq_file_runs_in_int8_only(engine, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b'\x0a\x01a"\x0eQuantizeLinear"\x10DequantizeLinear')  # as protobuf writes op_type
    reason = refusal(trial(engine, model=str(path)), FULL)
    assert reason == f"{path} is a Q/DQ network and can only run in int8 [already-quantized]"
    assert refusal(trial("onnxruntime", Precision.INT8, model=str(path)), FULL) is None
