import pytest

from tensordyno.cli import execute
from tensordyno.spec.yaml_file import DEMO


@pytest.fixture
def asked(dyno, monkeypatch):
    """What `dyno run` would do."""
    seen = []
    monkeypatch.setattr(
        execute, "start", lambda loaded, output, **o: seen.append((loaded.spec, output, o)) or 0
    )
    monkeypatch.setattr(execute, "resume", lambda root, **o: seen.append((root, o)) or 0)

    def ask(*arguments):
        seen.clear()
        return dyno("run", *arguments), seen

    return ask


def test_without_a_spec_it_is_the_demonstration(asked):
    _, ((spec, output, options),) = asked()
    assert spec.name == "demo" == DEMO.stem
    named = {engine.name for product in spec.products() for engine in product.engines}
    assert named == {"torch", "torch-compile", "onnxruntime", "openvino"}
    assert {p for product in spec.products() for p in product.precisions} == {"fp32", "int8"}
    assert output is None and options == {"as_json": False, "report": True}


def test_a_spec_with_changes(asked, tmp_path):
    (tmp_path / "a.yaml").write_text("models: [resnet18]\nengines: [torch]\n")
    flags = (
        "--set",
        "measure.min_seconds=5",
        "--set",
        "batch_sizes=1,8",
        "-o",
        "out",
        "--json",
        "--no-report",
    )
    _, ((spec, output, options),) = asked("a.yaml", *flags)
    assert (spec.name, spec.measure.min_seconds, spec.batch_sizes) == ("a", 5, (1, 8))
    assert str(output) == "out" and options == {"as_json": True, "report": False}


def test_resuming_takes_nothing_but_the_run(asked):
    _, ((root, options),) = asked("--resume", "runs/x", "--json")
    assert str(root) == "runs/x" and options == {"as_json": True, "report": True}
    for also in (("a.yaml",), ("--set", "seed=1"), ("-o", "out"), ("--dry-run",)):
        ended, seen = asked("--resume", "runs/x", *also)
        assert ended.status == 2 and "[resume-alone]" in ended.err and seen == []
