import pytest

from tensordyno.engines.base import engine_class
from tensordyno.plan.cuda_build import CudaBuild
from tensordyno.plan.gpu_refusal import gpu_refusal
from tensordyno.plan.host import Host
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.telemetry.gpu_state import ComputeMode, Gpus, GpuState, GpuUser
from tensordyno.vocabulary import Precision


def gpu(index, **more):
    return GpuState(index=index, name="NVIDIA H200", uuid=f"GPU-{index}{index}{index}", **more)


def machine(*states, cuda=(13, 0), built="13.0", visible=None, reason=""):
    found = Gpus(states=states, driver="580.159.04", cuda=cuda, reason=reason)
    return Host(
        gpus=lambda: found,
        cuda_build=lambda package: (
            CudaBuild("2.13.0", built) if package in ("torch", "onnxruntime") else None
        ),
        visible_devices=lambda: visible,
    )


TWO = machine(gpu(0), gpu(1))


def refused(host, device="cuda:0", devices=1, engine="torch", python=None):
    trial = Trial(
        id="t",
        model="resnet50",
        engine=EngineChoice(name=engine, python=python),
        precision=Precision.FP32,
        batch_size=1,
        device=device,
        devices=devices,
    )
    return gpu_refusal(trial, engine_class(engine), host)


@pytest.mark.parametrize(
    ("device", "devices"), [("cuda", 1), ("cuda:0", 2), ("cuda:1", 1), ("cpu", 1), ("cpu", 64)]
)
def test_what_this_machine_has_is_let_through(device, devices):
    assert refused(TWO, device, devices) is None


@pytest.mark.parametrize(
    ("host", "device", "devices", "says"),
    [
        (machine(reason="there is no NVIDIA driver here"), "cuda:0", 1, "there is no NVIDIA driver here"),
        (machine(), "cuda:0", 1, "the NVIDIA driver shows no GPU"),
        (TWO, "cuda:2", 1, "cuda:2 does not exist: this machine has 2 NVIDIA GPUs"),
        (machine(gpu(0)), "cuda:1", 4, "cuda:1 does not exist: this machine has 1 NVIDIA GPU"),
        (TWO, "cuda:0", 3, "3 GPUs asked for from cuda:0 on: this machine has 2 NVIDIA GPUs"),
        (TWO, "cuda:1", 2, "2 GPUs asked for from cuda:1 on: this machine has 2 NVIDIA GPUs"),
        (
            machine(gpu(0, mig=True, mig_instances=3)),
            "cuda",
            1,
            "cuda:0 (NVIDIA H200) is in MIG mode (3 slices), and this version measures whole GPUs: "
            "choose another, or, as administrator, type: nvidia-smi -i 0 -mig 0",
        ),
        (
            machine(gpu(0), gpu(1, compute_mode=ComputeMode.PROHIBITED)),
            "cuda:0",
            2,
            "cuda:1 (NVIDIA H200) is in compute mode Prohibited; "
            "as administrator, type: nvidia-smi -i 1 -c DEFAULT",
        ),
        (
            machine(gpu(0, compute_mode=ComputeMode.EXCLUSIVE, users=(GpuUser(4242, 1), GpuUser(7)))),
            "cuda:0",
            1,
            "is in compute mode Exclusive_Process and taken (pid 4242, 7): wait, or as administrator, type: ",
        ),
        (
            machine(gpu(0, reason="it fell off the bus; restart the machine")),
            "cuda:0",
            1,
            "cuda:0 cannot be used: it fell off the bus; restart the machine",
        ),
    ],
)
def test_what_stands_in_the_way_is_one_line(host, device, devices, says):
    reason = refused(host, device, devices)
    assert reason is not None and says in reason
    assert "\n" not in reason


def test_a_gpu_in_use_is_no_reason():
    busy = machine(gpu(0, users=(GpuUser(4242, 2**30),), utilisation=99.0))
    assert refused(busy) is None


def test_an_exclusive_gpu_that_nobody_has_is_free():
    assert refused(machine(gpu(0, compute_mode=ComputeMode.EXCLUSIVE))) is None


def test_only_the_gpus_of_the_trial_count():
    sliced = machine(gpu(0), gpu(1, mig=True))
    assert refused(sliced) is None
    assert "MIG" in refused(sliced, devices=2)


@pytest.mark.parametrize(
    ("cuda", "built", "works"),
    [
        ((13, 0), "13.0", True),
        ((12, 2), "12.8", True),  # minor version compatibility
        ((13, 0), "12.8", True),
        (None, "13.0", True),  # a driver that does not tell is tried
        ((11, 4), "13.0", False),
        ((12, 8), "13.0", False),
    ],
)
@pytest.mark.parametrize("engine", ["torch", "torch-compile", "onnxruntime"])
def test_a_driver_serves_libraries_of_its_major_version(cuda, built, works, engine):
    assert (refused(machine(gpu(0), cuda=cuda, built=built), engine=engine) is None) is works


def test_a_driver_that_is_too_old_names_both_versions():
    reason = refused(machine(gpu(0), cuda=(11, 4), built="13.0"))
    assert reason == (
        "driver 580.159.04 speaks CUDA 11.4, and this PyTorch was built for CUDA 13.0: "
        "update the driver, or install a PyTorch built for CUDA 11"
    )


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        ("torch", "this PyTorch (2.13.0) was built without CUDA. Type: pip install --force-reinstall torch"),
        (
            "onnxruntime",
            "this ONNX Runtime (2.13.0) was built without CUDA. Type: pip uninstall onnxruntime; ",
        ),
    ],
)
def test_a_framework_without_cuda_says_what_to_type(engine, says):
    assert says in refused(machine(gpu(0), built=""), engine=engine)


def test_an_interpreter_of_its_own_has_a_framework_of_its_own():
    assert refused(machine(gpu(0), built=""), python="/opt/env/bin/python") is None


def test_an_engine_that_simulates_needs_no_gpu():
    assert refused(machine(reason="there is no NVIDIA driver here"), "cuda:7", 4, engine="null") is None


@pytest.mark.parametrize(
    ("visible", "device", "devices", "says"),
    [
        ("0,1", "cuda:0", 2, None),
        ("GPU-000,GPU-111", "cuda:1", 1, None),
        ("GPU-0", "cuda:0", 1, None),
        ("1", "cuda:0", 1, None),
        (" 1, 0", "cuda:0", 2, None),
        ("0", "cuda:1", 1, "cuda:1 does not exist: this machine has 2 NVIDIA GPUs, of which "),
        ("1", "cuda:0", 2, "2 GPUs asked for from cuda:0 on: this machine has 2 NVIDIA GPUs, of which "),
        ("", "cuda:0", 1, "CUDA_VISIBLE_DEVICES= hides some"),
        ("-1", "cuda:0", 1, "hides"),
        ("0,7,1", "cuda:1", 1, "hides"),  # CUDA reads no further than the first that is wrong
        ("GPU-", "cuda:0", 1, "hides"),  # of two GPUs
    ],
)  # fmt: skip
def test_cuda_counts_what_its_variable_leaves(visible, device, devices, says):
    reason = refused(machine(gpu(0), gpu(1), visible=visible), device, devices)
    assert reason is None if says is None else says in reason


def test_the_gpu_that_is_judged_is_the_one_that_cuda_means():
    second = machine(gpu(0), gpu(1, mig=True), visible="1")
    assert "cuda:0 (NVIDIA H200) is in MIG mode" in refused(second)
    assert "nvidia-smi -i 1 -mig 0" in refused(second)
    assert refused(machine(gpu(0), gpu(1, mig=True), visible="0")) is None
