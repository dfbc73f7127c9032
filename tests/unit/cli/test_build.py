import subprocess
import sys
from pathlib import Path

import pytest
from made_engine import MadeEngine, chosen, selection

from tensordyno.cli import engine_page
from tensordyno.cli.build import _FLAGS, MEMBER
from tensordyno.cli.flags import CALIBRATION
from tensordyno.errors import DataError, Unsupported
from tensordyno.plan.host import Host
from tensordyno.plan.make import make_plan
from tensordyno.records.calibration import Calibration
from tensordyno.records.messages import ProgressReport
from tensordyno.telemetry.gpu_state import Gpus, GpuState
from tensordyno.vocabulary import Precision

GPUS = Gpus(states=(GpuState(index=0, name="NVIDIA H200"), GpuState(index=1, name="NVIDIA H200")))


@pytest.fixture
def build(dyno, monkeypatch, tmp_path):
    """`dyno build` on a machine with two GPUs, workers and compiler left out; `seen` is what was asked."""
    host = Host(
        has_package=lambda name: True,
        gpus=lambda: GPUS,
        cuda_build=lambda name: None,
        visible_devices=lambda: None,
    )
    monkeypatch.setattr(engine_page, "make_plan", lambda spec, places: make_plan(spec, places, host))

    def network(trial, hear):
        hear(ProgressReport(doing="calibrating", done=5, total=10))
        return tmp_path / "model.int8.onnx"

    def compiled(onnx, asked, progress):
        build.seen = {"onnx": onnx, "asked": asked}
        progress("time", 1, 1)
        sizes = asked.batch_sizes
        return MadeEngine({size: (chosen(),) for size in sizes}, [selection(size) for size in sizes])

    monkeypatch.setattr(engine_page, "network", network)
    monkeypatch.setattr(engine_page, "compiled", compiled)

    def build(text):
        return dyno("build", *text.split())

    build.seen = {}
    return build


def test_the_file_lies_where_it_was_wanted(build):
    ended = build("lenet5_fashion --batch 32,1,256 -o there.engine")
    assert ended.status == 0, ended.err
    assert Path("there.engine").stat().st_size == 3072
    asked = build.seen["asked"]
    assert asked.batch_sizes == (1, 32, 256) and asked.trial.id == "lenet5_fashion"
    assert "lenet5_fashion in int8 built for NVIDIA H200" in ended.out
    assert "there.engine (3.00 KiB)" in ended.out and "forge.load('there.engine')" in ended.out


def test_without_a_name_the_file_is_called_like_model_and_precision(build):
    assert build("lenet5_fashion --precision fp16").status == 0
    assert Path("lenet5_fashion.fp16.engine").is_file()


def test_every_flag_reaches_the_trial(build, tmp_path):
    (tmp_path / "w.pt").touch()
    ended = build(
        "lenet5_fashion --engine forge --precision int8 --device cuda:1 --data fashion --weights w.pt "
        "--threads 2 --seed 3 --skip-unreadable --preprocess mean=0.5 --calibration 10x5 --method mse"
    )
    assert ended.status == 0, ended.err
    trial = build.seen["asked"].trial
    assert (trial.engine.name, trial.precision, trial.device) == ("forge", Precision.INT8, "cuda:1")
    assert (trial.dataset, trial.weights, trial.threads, trial.seed) == ("fashion", "w.pt", 2, 3)
    assert trial.skip_unreadable and trial.preprocessing.mean == (0.5,)
    assert trial.calibration == Calibration(batches=10, batch_size=5, method="mse")


def test_no_flag_is_forgotten():
    options = {param.name for param in MEMBER.params if param.name != "model"}
    assert options == {*_FLAGS, *CALIBRATION, "output", "force"}


@pytest.mark.parametrize(
    ("arguments", "slug", "says"),
    [
        ("lenet5_fashion --engine torch", "only-forge-builds", "dyno infer MODEL --engine torch"),
        ("lenet5_fashion --engine forge,torch", "only-forge-builds", "Only forge builds engine files"),
        ("lenet5_fashion --engine forge:queue=2", "only-forge-builds", "without options"),
        ("lenet5_fashion --engine forg", "unknown-engine", "Did you mean forge"),
        ("lenet5_fashion --precision int9", "unknown-precision", "Did you mean int8"),
        ("lenet5_fashion --precision int8,fp16", "one-engine-file", "--precision asks for int8, fp16"),
        ("lenet5_fashion --device cuda:0,cuda:1", "one-engine-file", "--device asks for cuda:0, cuda:1"),
        ("lenet5_fashion --batch 1,2 --method mse,entropy", "one-calibration", "ask for 2 calibrations"),
        (
            "lenet5_fashion --precision fp16 --method mse",
            "calibration-without-int8",
            "Type: --precision int8 [",
        ),
        ("lenet5_fashion --batch 0", "bad-range", "a batch of 0"),
        ("lenet5_fashion -o model.onnx", "bad-output", ".engine"),
        ("lenet5_fashion -o nowhere/model.engine", "bad-output", "no folder nowhere"),
        ("lenet5_fashion -o there.engine", "output-exists", "--force"),
        ("resnt50", "unknown-model", "Did you mean resnet50"),
        ("missing.onnx", "missing-model", "missing.onnx"),
        ("", "bad-usage", "MODEL"),
    ],
)
def test_what_cannot_be_done_is_one_line_before_any_time_is_spent(build, tmp_path, arguments, slug, says):
    (tmp_path / "there.engine").touch()
    ended = build(arguments)
    assert ended.status == 2 and ended.out == "" and build.seen == {}
    assert ended.err.startswith("dyno: ") and ended.err.endswith(f"[{slug}]\n") and ended.err.count("\n") == 1
    assert says in ended.err
    assert (tmp_path / "there.engine").read_bytes() == b""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--device cpu", "forge compiles for NVIDIA GPUs. On a CPU type: dyno infer lenet5_fashion"),
        ("--device cuda:2", "cuda:2 does not exist"),
        ("--precision fp8", "forge has no fp8 kernels. Type for example: --precision int8"),
        ("--device cpu --precision bf16", "--engine onnxruntime,openvino --precision fp32 [unsupported]"),
    ],
)
def test_what_this_machine_cannot_do_is_said_with_what_it_can(build, arguments, says):
    ended = build(f"lenet5_fashion {arguments}")
    assert (ended.status, ended.out, build.seen) == (3, "", {})
    assert says in ended.err and ended.err.count("\n") == 1


def test_without_a_gpu_one_line_says_so_and_what_to_type(build, dyno, monkeypatch):
    host = Host(has_package=lambda name: True, gpus=lambda: Gpus(reason="there is no NVIDIA driver here"))
    monkeypatch.setattr(engine_page, "make_plan", lambda spec, places: make_plan(spec, places, host))
    ended = build("lenet5_fashion")
    assert (ended.status, ended.out) == (3, "")
    assert ended.err == (
        "dyno: lenet5_fashion cannot be built here: there is no NVIDIA driver here. On a CPU type: "
        "dyno infer lenet5_fashion --engine onnxruntime,openvino --precision int8 [unsupported]\n"
    )


def test_a_missing_package_says_itself_what_to_type(build, monkeypatch):
    host = Host(has_package=lambda name: name != "triton", gpus=lambda: GPUS)
    monkeypatch.setattr(engine_page, "make_plan", lambda spec, places: make_plan(spec, places, host))
    ended = build("lenet5_fashion")
    assert ended.status == 3 and ended.err.count("Type:") == 1 and "On a CPU" not in ended.err
    assert "pip install 'tensordyno[forge]'" in ended.err


@pytest.mark.parametrize(
    ("failure", "status", "slug"),
    [
        (
            DataError("forge-unsupported", "forge has no operation 'Einsum' (node 'n7')."),
            2,
            "forge-unsupported",
        ),
        (Unsupported("Forge has no kernel for n7."), 3, "unsupported"),
    ],
)
def test_what_forge_lacks_is_one_line_and_leaves_no_file(build, monkeypatch, tmp_path, failure, status, slug):
    def fail(*arguments):
        raise failure

    monkeypatch.setattr(engine_page, "compiled", fail)
    ended = build("lenet5_fashion -o model.engine")
    assert ended.status == status and ended.err.endswith(f"[{slug}]\n") and "n7" in ended.err
    assert not Path("model.engine").exists()


def test_a_full_disk_is_one_line(build, monkeypatch):
    full = MadeEngine({1: (chosen(),)}, failure=OSError(28, "No space left on device"))
    monkeypatch.setattr(engine_page, "compiled", lambda *arguments: full)
    ended = build("lenet5_fashion")
    assert ended.status == 4 and ended.err.endswith("[disk-full]\n")


def test_planning_a_build_imports_no_framework():
    check = (
        "import sys, tensordyno.cli.build, tensordyno.cli.engine_page, tensordyno.engines.forge;"
        "print(*sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'triton', 'onnx', 'onnxruntime'}))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
