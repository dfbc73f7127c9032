import subprocess
import sys

import pytest

from tensordyno.errors import DataError, SpecError
from tensordyno.plan.host import Host
from tensordyno.plan.make import make_plan
from tensordyno.spec.yaml_file import DEMO, load_spec, spec_from_text
from tensordyno.telemetry.gpu_state import Gpus

FULL = Host(has_package=lambda name: True, gpus=lambda: Gpus(reason="no driver"), has_glibc=lambda: True)


def test_the_demo_compares_fp32_and_int8_in_five_groups():
    made = load_spec(DEMO)
    plan = make_plan(made.spec, made.places, FULL)
    assert len(plan.trials) == 24
    assert {(s.trial.engine.name, s.trial.precision) for s in plan.skips} == {("torch", "int8")}
    assert len({trial.group for trial in plan.trials}) == 5
    assert plan.trials[0].id == "resnet50-torch-fp32-b1-host"
    assert {t.dataset for t in plan.trials if "fashion" in t.model} == {"fashion"}


def test_what_cannot_work_is_a_skip_with_its_reason():
    spec = spec_from_text("models: resnet50\nengines: torch,onnxruntime\nprecisions: fp32,bf16", "a").spec
    plan = make_plan(spec, host=FULL)
    assert [t.id for t in plan.trials] == [
        "resnet50-torch-fp32-b1-host",
        "resnet50-onnxruntime-fp32-b1-host",
        "resnet50-torch-bf16-b1-host",
    ]
    (skip,) = plan.skips
    assert skip.trial.id == "resnet50-onnxruntime-bf16-b1-host"
    assert "bf16" in skip.reason


def test_a_plan_of_nothing_but_skips_is_a_plan():
    spec = spec_from_text("models: resnet50\nengines: torch\ndevices: cuda:0", "a").spec
    plan = make_plan(spec, host=FULL)
    assert plan.trials == () and len(plan.skips) == 1


def test_max_alive_splits_groups_of_what_can_run():
    text = "models: resnet50\nengines: torch,onnxruntime,openvino,null\nlimits: {max_alive: 2}"
    plan = make_plan(spec_from_text(text, "a").spec, host=FULL)
    assert [t.group for t in plan.trials] == ["resnet50-b1-host-1"] * 2 + ["resnet50-b1-host-2"] * 2


def test_without_places_an_error_names_the_key():
    spec = spec_from_text("models: resnet50\nengines: torhc", "a").spec
    with pytest.raises(SpecError, match=r"^engines\[0\]: there is no engine called 'torhc'"):
        make_plan(spec)


def test_planning_imports_no_framework():
    program = (
        "import sys\n"
        "from tensordyno.plan.make import make_plan\n"
        "from tensordyno.spec.yaml_file import DEMO, load_spec\n"
        "make_plan(load_spec(DEMO).spec)\n"
        "names = ('torch', 'onnx', 'onnxruntime', 'openvino', 'triton', 'PIL', 'altair', 'pyarrow')\n"
        "print([name for name in names if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_accuracy_that_cannot_be_told_is_no_plan():
    spec = spec_from_text(
        "task: accuracy\nmodels: lenet5_fashion\nengines: torch\ndataset: synthetic", "a"
    ).spec
    with pytest.raises(DataError, match="no labels"):
        make_plan(spec, host=FULL)
