import sys

import numpy as np
import pytest

from tensordyno.errors import DataError, SpecError
from tensordyno.plan.check import check_names
from tensordyno.spec.yaml_file import spec_from_text


def check(text):
    made = spec_from_text(text, "a.yaml")
    check_names(made.spec, made.places)


def test_names_and_files_that_exist_are_fine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("net.onnx", "w.pt"):
        (tmp_path / name).write_bytes(b"x")
    np.savez(tmp_path / "data.npz", x=np.zeros(1))
    (tmp_path / "photos").mkdir()
    check(
        "models: [resnet50, net.onnx, 'timm:anything', 'mine.nets:build', {name: vgg16, weights: w.pt}]\n"
        f"engines: [torch, {{name: openvino, python: {sys.executable}}}]\n"
        "dataset: photos\ntelemetry: {sources: []}\n"
        "blocks:\n- dataset: data.npz\n- dataset: ./photos\n- dataset: synthetic\n- dataset: fashion\n"
    )


BOTH = "models: [resnet50]\nengines: [torch]\n"


@pytest.mark.parametrize(
    ("text", "kind", "slug", "begins", "remedy"),
    [
        (
            "models:\n- resnet50\n- resnet5\nengines: [torch]",
            SpecError,
            "unknown-model",
            "a.yaml:3: models[1]: there is no model called 'resnet5'.",
            "Did you mean resnet50",
        ),
        (
            "models: [resnet50.engine]\nengines: [forge]\n",
            SpecError,
            "engine-file",
            "a.yaml:1: models[0]: resnet50.engine is an engine file, and the network",
            "dyno infer MODEL --engine forge",
        ),
        (
            "models: [resnet50]\nengines:\n- torch\n- onnxrutime\n",
            SpecError,
            "unknown-engine",
            "a.yaml:4: engines[1]: there is no engine called 'onnxrutime'.",
            "Did you mean onnxruntime?",
        ),
        (
            BOTH + "blocks:\n- engines: [openvin]",
            SpecError,
            "unknown-engine",
            "a.yaml:4: blocks[0].engines[0]:",
            "Did you mean openvino?",
        ),
        (
            BOTH + "dataset: fashon",
            SpecError,
            "unknown-dataset",
            "a.yaml:3: dataset:",
            "Did you mean fashion?",
        ),
        (
            BOTH + "telemetry:\n  sources: [nothing_like_it]",
            SpecError,
            "unknown-sensor",
            "a.yaml:4: telemetry.sources[0]:",
            "",
        ),
        (
            "models: [resnet50]\nengines: 'torch:layot=nchw'",
            SpecError,
            "unknown-option",
            "a.yaml:2: engines[0].options.layot: torch has no option",
            "",
        ),
        (
            BOTH + "dataset: ./nowhere",
            DataError,
            "missing-data",
            "a.yaml:3: dataset: there is no file",
            "Give",
        ),
        (BOTH + "dataset: no.npz", DataError, "missing-data", "a.yaml:3: dataset: there is no file", "Give"),
        (BOTH + "dataset: image-folder", DataError, "missing-data", "a.yaml:3: dataset:", "Give"),
        (BOTH + "weights: no.pt", DataError, "missing-weights", "a.yaml:3: weights: there is no", "Rel"),
        (
            "models: [{name: resnet50, weights: no.pt}]\nengines: [torch]",
            DataError,
            "missing-weights",
            "a.yaml:1: models[0].weights: there is no checkpoint no.pt.",
            "Relative",
        ),
        (
            BOTH + "telemetry: {sources: 'cpu,replay:no.jsonl'}",
            DataError,
            "missing-recording",
            "a.yaml:3: ",
            "Rel",
        ),
        (BOTH + "telemetry: {sources: replay}", DataError, "missing-recording", "a.yaml:3: telemetry", "Rel"),
        ("models: no.onnx\nengines: torch", DataError, "missing-model", "a.yaml:1: models[0]: there is", ""),
        (
            BOTH + "calibration: {methods: 'mse,entropi'}",
            SpecError,
            "unknown-calibration-method",
            "a.yaml:3: calibration.methods[1]: there is no calibration method",
            "Did you mean entropy?",
        ),
        (
            BOTH + "blocks:\n- calibration:\n    methods: percentile:0",
            SpecError,
            "bad-method",
            "a.yaml:5: blocks[0].calibration.methods[0]: ",
            "",
        ),
        (
            BOTH + "calibration:\n  data: ./nowhere",
            DataError,
            "missing-data",
            "a.yaml:4: calibration.data: there is no file or folder ./nowhere.",
            "Give",
        ),
        (
            "models: resnet50\nengines:\n- name: torch\n  python: /no/python",
            DataError,
            "missing-interpreter",
            "a.yaml:4: engines[0].python: /no/python is no Python",
            "Give",
        ),
    ],
)
def test_what_does_not_exist_is_one_line_with_its_place(
    text, kind, slug, begins, remedy, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind) as caught:
        check(text)
    assert caught.value.slug == slug
    assert caught.value.sentence.startswith(begins)
    assert remedy in caught.value.remedy
    assert "\n" not in caught.value.line()
    assert caught.value.exit_code == 2
