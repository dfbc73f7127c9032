import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tensordyno.errors import DataError, MissingPackage
from tensordyno.models.count import count_onnx
from tensordyno.models.onnx_file import open_classifier
from tensordyno.models.reference import onnx_logits

WEIGHT = np.random.default_rng(0).standard_normal((5, 27)).astype(np.float32)


def small_graph(
    *,
    image=("batch", 3, 3, 3),
    scores=("batch", 5),
    target=(0, -1),
    kind=TensorProto.FLOAT,
    names=("x", "y"),
    extra=(),
):
    """Flatten by a constant Reshape, then one Gemm."""
    x, y = names
    nodes = [
        helper.make_node("Reshape", [x, "target"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], [y], transB=1),
    ]
    weights = [
        numpy_helper.from_array(WEIGHT, "w"),
        numpy_helper.from_array(np.array(target, np.int64), "target"),
    ]
    inputs = [helper.make_tensor_value_info(x, kind, image), *extra]
    outputs = [
        helper.make_tensor_value_info(y, TensorProto.FLOAT, scores),
        helper.make_tensor_value_info("flat", kind, ("rows", "columns")),
    ]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def written(path, **changes):
    onnx.save(small_graph(**changes), path / "net.onnx")
    return path / "net.onnx"


def refusal(path):
    with pytest.raises(DataError) as caught:
        open_classifier(path)
    assert "\n" not in caught.value.line()
    return caught.value


def check_answers(model):
    images = np.random.default_rng(1).standard_normal((3, 3, 3, 3)).astype(np.float32)
    expected = images.reshape(3, -1) @ WEIGHT.T
    for n in (1, 3):
        found = onnx_logits(model.SerializeToString(), images[:n])
        np.testing.assert_allclose(found, expected[:n], rtol=1e-4, atol=1e-5)


def axes(value):
    return [a.dim_param or a.dim_value for a in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("names", [("x", "y"), ("images", "logits"), ("logits", "images")])
def test_a_classifier_gets_our_names_and_one_output(tmp_path, names):
    model, card = open_classifier(written(tmp_path, names=names))
    assert (card.name, card.input_shape, card.classes) == ("net", (3, 3, 3), 5)
    assert [v.name for v in model.graph.input] == ["images"]
    assert [v.name for v in model.graph.output] == ["logits"]
    onnx.checker.check_model(model, full_check=True)
    check_answers(model)


@pytest.mark.parametrize(("batch", "target"), [(1, (1, -1)), (1, (-1, 27)), (4, (4, 27))])
def test_a_fixed_batch_is_made_symbolic(tmp_path, batch, target):
    model, _ = open_classifier(written(tmp_path, image=(batch, 3, 3, 3), scores=(batch, 5), target=target))
    assert axes(model.graph.input[0]) == ["N", 3, 3, 3]
    assert axes(model.graph.output[0]) == ["N", 5]
    check_answers(model)


def test_a_batch_that_cannot_be_freed_is_said(tmp_path):
    model = small_graph(image=(1, 3, 3, 3), scores=(1, 5), target=(1, -1))
    model.graph.node[1].output[0] = "each"  # the mean over the batch: right for one image only
    model.graph.node.append(helper.make_node("ReduceMean", ["each"], ["y"], axes=[0], keepdims=1))
    onnx.save(model, tmp_path / "net.onnx")
    error = refusal(tmp_path / "net.onnx")
    assert error.slug == "fixed-batch"
    assert "batches of 1 only" in error.sentence


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"extra": (helper.make_tensor_value_info("mask", TensorProto.FLOAT, (1,)),)}, "2 inputs (x, mask)"),
        ({"image": ("batch", 27), "target": (0, 27)}, "(batch, 27)"),
        ({"image": ("batch", 3, "h", "w")}, "(batch, 3, h, w)"),
        ({"image": ("batch", 27, 1, 1)}, "(batch, 27, 1, 1)"),
        ({"kind": TensorProto.DOUBLE}, "double"),
    ],
)
def test_what_takes_no_image_is_refused_with_what_was_found(tmp_path, changes, found):
    error = refusal(written(tmp_path, **changes))
    assert error.slug == "not-a-classifier"
    assert found in error.sentence


def test_what_gives_no_scores_is_refused_with_what_was_found(tmp_path):
    model = small_graph(image=(1, 3, 3, 3))
    del model.graph.node[1]
    del model.graph.output[0]
    model.graph.node[0].CopyFrom(helper.make_node("Relu", ["x"], ["flat"]))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("flat", TensorProto.FLOAT, (1, 3, 3, 3)))
    onnx.save(model, tmp_path / "net.onnx")
    error = refusal(tmp_path / "net.onnx")
    assert error.slug == "not-a-classifier"
    assert "(1, 3, 3, 3)" in error.sentence


def test_a_truncated_an_empty_and_a_foreign_file_are_refused(tmp_path):
    path = written(tmp_path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"\x89PNG\r\n\x1a\n" + bytes(200), b"not a model"):
        path.write_bytes(content)
        assert refusal(path).slug == "broken-onnx"
    assert refusal(tmp_path / "absent.onnx").slug == "missing-onnx"


def test_without_onnx_the_remedy_names_the_extra(tmp_path, monkeypatch):
    path = written(tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingPackage) as missing:
        open_classifier(path)
    assert "tensordyno[onnxruntime]" in missing.value.remedy


def test_cost_of_a_graph(tmp_path):
    model, _ = open_classifier(written(tmp_path))
    cost = count_onnx(model)
    assert (cost.parameters, cost.macs) == (27 * 5, 27 * 5)  # the Reshape's target is not a parameter
