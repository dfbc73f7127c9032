# ruff: noqa: E501 (one case a line reads better)
"""Whatever a user gets wrong is one line that says what, where and what to type; nothing is lost."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from flow_tools import null, run_dyno, spec, write_spec
from PIL import Image

from tensordyno.store.reader import read_run

FASHION = Path(__file__).parents[2] / "src" / "tensordyno" / "data" / "fashion"
GOOD = "models: [lenet5_fashion]\nengines: [torch]\n"


def is_one_line(ended, status, *parts):
    """One line on stderr with these parts in this order, nothing on stdout, no traceback."""
    assert ended.status == status, ended
    assert ended.out == ""
    line = ended.err
    assert line.startswith("dyno: ") and line.count("\n") == 1 and line.rstrip().endswith("]")
    for part in parts:
        assert part in line, f"{part!r} is not in {line!r}"
        line = line.partition(part)[2]


# -- what is typed -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ("infer resnet5O", ["MODEL: models[0]: there is no model called 'resnet5O'", "Did you mean", "resnet50"]),
        ("infer quantum", ["'quantum'", "torchvision:NAME, timm:NAME, FILE.onnx", "[unknown-model]"]),
        ("infer resnet50 --engine touch", ["--engine: engines[0]", "Did you mean torch", "[unknown-engine]"]),
        ("infer resnet50 --engine openvino:hint=fast", ["--engine", "hint", "latency", "[bad-option]"]),
        ("infer resnet50 --engine torch:speed=9", ["--engine", "speed", "[unknown-option]"]),
        ("infer resnet50 --precision fp23", ["--precision: precisions[0]", "Did you mean fp32", "[unknown-precision]"]),
        ("infer resnet50 --batch 0", ["--batch: batch_sizes", "0", "Allowed: ", "[bad-range]"]),
        ("infer resnet50 --batch 1:4096:2", ["--batch", "[bad-range]"]),
        ("infer resnet50 --batch many", ["--batch", "many", "[bad-range]"]),
        ("infer resnet50 --boundary hots", ["--boundary: boundaries[0]", "Did you mean host", "[bad-value]"]),
        ("infer resnet50 --device tpu", ["--device: devices[0]", "cpu, cuda or cuda:N", "[bad-value]"]),
        ("infer resnet50 --allocator jemalloc", ["--allocator", "default, keep", "[bad-value]"]),
        ("infer resnet50 --threads 0", ["--threads: threads: found 0", "[bad-value]"]),
        ("infer resnet50 --threads two", ["--threads", "'two'", "dyno infer --help", "[bad-usage]"]),
        ("infer resnet50 --min-seconds=-1", ["--min-seconds: measure.min_seconds: found -1", "[bad-value]"]),
        ("infer resnet50 --target 5", ["--target: measure.target_half_width", "fraction", "[bad-value]"]),
        ("infer resnet50 --min-seconds 9 --max-seconds 3", ["--min-seconds, --max-seconds", "more than", "[bad-value]"]),
        ("infer resnet50 --baseline tensorrt", ["--baseline", "tensorrt", "torch", "[unknown-baseline]"]),
        ("infer resnet50 --data nowhere/at/all", ["--data: dataset", "nowhere/at/all", "[missing-data]"]),
        ("infer resnet50 --data fashoin", ["--data", "Did you mean fashion", "./FOLDER", "[unknown-dataset]"]),
        ("infer resnet50 --weights lost.pt", ["--weights: weights: there is no checkpoint lost.pt", "[missing-weights]"]),
        ("infer lost.onnx", ["MODEL: models[0]: there is no model file lost.onnx", "[missing-model]"]),
        ("infer resnet50 --set measure.clok=fake", ["--set measure.clok=fake", "clock", "[unknown-key]"]),
        ("infer resnet50 --bach 8", ["--bach", "dyno infer --help", "[bad-usage]"]),
        ("infer", ["MODEL", "dyno infer --help", "[bad-usage]"]),
        ("rum", ["There is no command called 'rum'", "Did you mean run", "[unknown-command]"]),
        ("ls boats", ["boats", "runs", "[bad-usage]"]),
        ("run lost.yaml", ["lost.yaml", "[no-spec]"]),
        ("run .", ["directory", "[no-spec]"]),
        ("run --resume x spec.yaml", ["--resume", "[resume-alone]"]),
        ("compare a b --margin 2", ["--margin 2", "[bad-margin]"]),
        ("completion tcsh", ["tcsh", "bash", "[bad-usage]"]),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_on_the_command_line(dyno, arguments, parts):
    is_one_line(dyno(*arguments.split()), 2, *parts)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("model: [resnet50]\n", ["spec.yaml:1: model: ", "Did you mean models", "[unknown-key]"]),
        (GOOD + "batch_sizes: [1, 0]\n", ["spec.yaml:3: batch_sizes[1]: found 0", "[bad-value]"]),
        (GOOD + "batch_sizes: [1, eight]\n", ["spec.yaml:3: batch_sizes[1]", "'eight'", "[bad-range]"]),
        (GOOD + "batch_sizes: 1.5\n", ["spec.yaml:3: batch_sizes", "1.5", "[bad-value]"]),
        (GOOD + "precisions: [fp32, int9]\n", ["spec.yaml:3: precisions[1]", "Did you mean int8", "[unknown-precision]"]),
        (GOOD + "threads: true\n", ["spec.yaml:3: threads: found true", "whole number", "[bad-value]"]),
        (GOOD + "measure:\n  min_seconds: soon\n", ["spec.yaml:4: measure.min_seconds: found 'soon'", "[bad-value]"]),
        (GOOD + "measure: [1]\n", ["spec.yaml:3: measure: found [1]", "mapping", "[bad-value]"]),
        (GOOD + "measure: {clock: sun}\n", ["spec.yaml:3: measure.clock", "real, fake", "[bad-value]"]),
        (GOOD + "interleave: 3\n", ["spec.yaml:3: interleave: found 3", "true or false", "[bad-value]"]),
        (GOOD + "blocks:\n  - seed: 3\n", ["spec.yaml:4: blocks[0].seed", "top level", "[unknown-key]"]),
        (GOOD + "telemetry: {sources: [npu]}\n", ["spec.yaml:3: telemetry.sources[0]", "'npu'", "[unknown-sensor]"]),
        (GOOD + "telemetry: {sources: ['replay:x']}\n", ["spec.yaml:3: telemetry.sources[0]", "x", "[missing-recording]"]),
        (GOOD + "telemetry: {sources: [replay]}\n", ["spec.yaml:3: telemetry.sources[0]", "[missing-recording]"]),
        ("models: []\n", ["spec.yaml:1: models: the list is empty", "[empty-list]"]),
        ("models: [resnet50]\n", ["'engines' is missing", "[missing-key]"]),
        ("models: [{weights: x}]\nengines: [torch]\n", ["spec.yaml:1: models[0]: 'name' is missing", "[missing-key]"]),
        ("models: [resnet50]\nengines: [{name: torch, python: /no}]\n", ["spec.yaml:2", "/no", "[missing-interpreter]"]),
        ("models: [resnet50\n", ["spec.yaml", "[bad-yaml]"]),
        ("- a list\n", ["spec.yaml", "mapping", "[bad-value]"]),
        ("", ["'models' is missing", "[missing-key]"]),
    ],
)  # fmt: skip
def test_a_wrong_spec_is_named_by_file_line_and_key(dyno, tmp_path, text, parts):
    write_spec(tmp_path, text)
    is_one_line(dyno("run", "spec.yaml"), 2, *parts)
    assert [p.name for p in tmp_path.iterdir()] == ["spec.yaml"]


def test_a_spec_that_is_no_text(dyno, tmp_path):
    (tmp_path / "spec.yaml").write_bytes(b"models: \xff\xfe\n")
    is_one_line(dyno("run", "spec.yaml"), 2, "spec.yaml", "UTF-8", "[bad-yaml]")


def test_nothing_at_all_gets_help(dyno):
    ended = dyno()
    assert "Commands" in ended.out + ended.err and "Traceback" not in ended.err


def test_a_traceback_only_with_debug():
    plain = run_dyno("infer", "resnet51")
    debug = run_dyno("--debug", "infer", "resnet51")
    assert plain.status == debug.status == 2
    assert "Traceback" not in plain.err
    assert debug.err.startswith(plain.err) and "Traceback" in debug.err and "SpecError" in debug.err


def test_a_bug_of_ours_is_one_line_too(dyno, monkeypatch):
    def broken():
        raise ValueError("two\nlines")

    monkeypatch.setattr("tensordyno.models.base.cards", broken)
    monkeypatch.setattr("tensordyno.cli.table.cards", broken)
    is_one_line(dyno("ls", "models"), 70, "ValueError: two lines", "dyno --debug", "[internal-error]")


# -- what lies in files, and shows when a worker reads it ----------------------------------------------


def folder_of_images(root, classes=10, spoilt=()):
    """Two grey images a class, 28 x 28; those at the places `spoilt` are no images."""
    random = np.random.default_rng(0)
    for number in range(2 * classes):
        place = root / f"class{number % classes}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        if number in spoilt:
            place.write_bytes(b"\x89PNG no more")
        else:
            Image.fromarray(random.integers(0, 255, (28, 28), dtype=np.uint8)).save(place)
    return root


def onnx_file(path, *, shape=("N", 1, 28, 28), classes=10):
    """A linear classifier; with `classes` None its output is the image again."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).standard_normal((784, classes or 1)).astype(np.float32)
    out = ["N", classes] if classes else list(shape)
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["scores"]),
    ]
    if not classes:
        nodes = [helper.make_node("Relu", ["images"], ["scores"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(weights, "w")] if classes else [],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


LENET = "lenet5_fashion"
WRONG = {  # what is wrong -> verdict, slug, parts of the reason
    "other checkpoint": ("invalid", "wrong-checkpoint", ["resnet8", "does not fit this network"]),
    "no checkpoint": ("invalid", "unreadable-checkpoint", ["garbage.pt"]),
    "truncated onnx": ("invalid", "broken-onnx", ["truncated.onnx is not a complete ONNX model"]),
    "text as onnx": ("invalid", "broken-onnx", ["text.onnx"]),
    "no classifier": ("invalid", "not-a-classifier", ["picture.onnx", "(N, 1, 28, 28)"]),
    "weights for onnx": ("unsupported", "weights-in-onnx", ["good.onnx"]),
    "unreadable image": ("invalid", "unreadable-image", ["3.png", "--skip-unreadable"]),
    "other classes": ("invalid", "labels-mismatch", ["has 7 classes", "10"]),
    "high label": ("invalid", "labels-mismatch", ["labels up to 99", "0 to 9"]),
    "empty folder": ("invalid", "empty-data", ["holds no images"]),
    "no arrays": ("invalid", "bad-arrays", ["text.npz"]),
    "no module": ("invalid", "unknown-function", ["no_such_module"]),
    "broken function": ("invalid", "broken-function", ["broken_network"]),
}


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """One run over everything that is wrong, and one network that is right."""
    root = tmp_path_factory.mktemp("wrong")
    good = onnx_file(root / "good.onnx").read_bytes()
    (root / "truncated.onnx").write_bytes(good[: len(good) // 2])
    (root / "text.onnx").write_text("no graph")
    (root / "text.npz").write_text("no archive")
    (root / "garbage.pt").write_bytes(b"PK\x03\x04 garbage")
    (root / "empty").mkdir()
    (root / "broken_network.py").write_text("def network():\n    raise OSError('the hub is away')\n")
    onnx_file(root / "picture.onnx", classes=None)
    folder_of_images(root / "spoilt", spoilt=(3,))
    folder_of_images(root / "seven", classes=7)
    images = np.zeros((8, 28, 28), np.uint8)
    np.savez(root / "high.npz", images=images, labels=np.array([1, 2, 3, 4, 5, 6, 7, 99]))
    models = {
        "other checkpoint": {"name": LENET, "weights": str(FASHION / "weights" / "resnet8_fashion.npz")},
        "no checkpoint": {"name": LENET, "weights": "garbage.pt"},
        "truncated onnx": {"name": "truncated.onnx"},
        "text as onnx": {"name": "text.onnx"},
        "no classifier": {"name": "picture.onnx"},
        "weights for onnx": {"name": "good.onnx", "weights": "garbage.pt"},
        "unreadable image": {"name": LENET, "dataset": "./spoilt"},
        "other classes": {"name": LENET, "dataset": "./seven"},
        "high label": {"name": LENET, "dataset": "high.npz"},
        "empty folder": {"name": LENET, "dataset": "./empty"},
        "no arrays": {"name": LENET, "dataset": "text.npz"},
        "no module": {"name": "no_such_module:network"},
        "broken function": {"name": "broken_network:network"},
        "right": {"name": LENET},
        "right onnx": {"name": "good.onnx"},
    }
    path = write_spec(root, spec([null(cost_s=0.01)], models=list(models.values())))
    ended = run_dyno("run", path, "-o", "run", "--no-report", "--json", cwd=root)
    trials = ended.summary["trials"]
    assert len(trials) == len(models)
    return ended, dict(zip(models, trials, strict=True)), root


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_the_trials_own_end_with_a_reason(wrong, what):
    verdict, slug, parts = WRONG[what]
    row = wrong[1][what]
    assert (row["verdict"], row["slug"]) == (verdict, slug), row["reason"]
    assert "\n" not in row["reason"] and "Traceback" not in row["reason"]
    for part in parts:
        assert part in row["reason"]


def test_the_right_ones_are_valid_all_the_same(wrong):
    ended, rows, _ = wrong
    assert ended.status == 0
    assert rows["right"]["verdict"] == rows["right onnx"]["verdict"] == "valid"
    assert "Traceback" not in ended.err


def test_the_log_keeps_the_traceback_for_those_who_want_it(wrong):
    logs = [path.read_text() for path in (wrong[2] / "run" / "logs").glob("prepare-*.log")]
    assert any("Traceback" in log and "the hub is away" in log for log in logs)


def test_a_wrong_file_for_all_trials_is_one_line_and_no_success(wrong, dyno):
    """The other way to say it: flags, one model, several batch sizes and precisions."""
    root = wrong[2]
    ended = dyno(
        *("infer", LENET, "--engine", "null", "--precision", "fp32,bf16", "--batch", "1,8", "--no-report"),
        *("--weights", FASHION / "weights" / "resnet8_fashion.npz", "-o", root / "flags"),
        *("--set", "telemetry.sources=[]"),
    )
    assert ended.status == 1
    assert ended.err.startswith("dyno: No trial is VALID. ") and ended.err.count("\n") == 1
    assert "resnet8_fashion" in ended.err and ended.err.endswith("[wrong-checkpoint]\n")
    assert {o.verdict for o in read_run(root / "flags").outcomes} == {"invalid"}


def test_unreadable_images_are_skipped_when_asked_and_counted(wrong, dyno):
    root = wrong[2]
    ended = dyno(
        *("infer", LENET, "--engine", "null", "--data", root / "spoilt", "--skip-unreadable", "--no-report"),
        *("--set", "measure.clock=fake", "--set", "telemetry.sources=[]", "-o", root / "skipping"),
    )
    assert ended.status == 0, ended.err
    (outcome,) = read_run(root / "skipping").outcomes
    (row,) = json.loads((root / "skipping" / "summary.json").read_text())["trials"]
    assert (row["accuracy_images"], row["unreadable_images"]) == (19, 1)
    assert outcome.accuracy is not None
    assert (outcome.accuracy.images, outcome.accuracy.unreadable) == (19, 1)


def test_an_image_that_cannot_be_read_later_on_ends_the_trial_likewise(dyno, tmp_path):
    """The first images are the reference's; this one is met when right answers are counted."""
    folder = folder_of_images(tmp_path / "late", spoilt=(15,))
    path = write_spec(tmp_path, spec([null()], dataset=str(folder), accuracy_images=20))
    ended = dyno("run", path, "-o", "run", "--no-report")
    assert ended.status == 1 and "15.png" in ended.err and ended.err.endswith("[unreadable-image]\n")


def test_a_labels_file_that_does_not_fit(dyno, tmp_path):
    folder = tmp_path / "labelled"
    folder.mkdir()
    with (folder / "labels.csv").open("w") as stream:
        csv.writer(stream).writerows([("file", "label"), ("gone.png", 1, 2)])
    path = write_spec(tmp_path, spec([null()], dataset=str(folder)))
    ended = dyno("run", path, "-o", "run", "--no-report")
    assert ended.status == 1 and "labels.csv:2" in ended.err and ended.err.endswith("[bad-labels-file]\n")
