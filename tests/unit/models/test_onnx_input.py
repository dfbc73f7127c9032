import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tensordyno.errors import DataError
from tensordyno.models.onnx_file import open_classifier
from tensordyno.models.onnx_input import (
    PREPROCESSING,
    layout_of,
    note_preprocessing,
    noted_preprocessing,
)
from tensordyno.models.reference import onnx_logits
from tensordyno.records.model import Preprocessing

SIDES = (4, 6, 3)  # height, width, channels: all different
WEIGHT = np.random.default_rng(0).standard_normal((5, 4 * 6 * 3)).astype(np.float32)
OURS = Preprocessing(resize=40, mean=(0.1, 0.2, 0.3), std=(0.5,), channels="bgr")


def written(folder, image=("batch", *SIDES), name="x", inner="flat", notes=None):
    """Flatten, then one Gemm: the answers tell in which order the pixels came."""
    nodes = [
        helper.make_node("Reshape", [name, "target"], [inner]),
        helper.make_node("Gemm", [inner, "w"], ["y"], transB=1),
    ]
    weights = [numpy_helper.from_array(WEIGHT, "w"), numpy_helper.from_array(np.array([0, -1]), "target")]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, image)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("batch", 5))]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, notes or {})
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx"


def answers(model):
    """To images (N, C, H, W), and what the graph answers to the same pixels as (N, H, W, C)."""
    images = np.random.default_rng(1).standard_normal((2, 3, *SIDES[:2])).astype(np.float32)
    onnx.checker.check_model(model)
    pixels_last = images.transpose(0, 2, 3, 1).reshape(2, -1)
    return onnx_logits(model.SerializeToString(), images), pixels_last @ WEIGHT.T


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        (["N", 224, 224, 3], "nhwc"),
        ([1, 28, 28, 1], "nhwc"),
        (["N", 3, 224, 224], "nchw"),
        (["N", 1, 28, 28], "nchw"),
        (["N", 27, 1, 1], "nchw"),
        (["N", 3, 224, 3], "nchw"),
        (["N", "h", "w", 3], "nchw"),
        (["N", 224, 224, 4], "nchw"),
        (["N", 10], "nchw"),
    ],
)
def test_the_shape_tells_the_layout_where_it_can(shape, layout):
    assert layout_of(shape) == layout


@pytest.mark.parametrize("image", [("batch", *SIDES), (2, *SIDES)])
@pytest.mark.parametrize(("name", "inner"), [("x", "flat"), ("images", "flat"), ("x", "images")])
def test_a_file_that_wants_channels_last_takes_them_first(tmp_path, image, name, inner):
    model, card = open_classifier(written(tmp_path, image, name, inner))
    assert card.input_shape == (3, 4, 6) and card.preprocessing.layout == "nhwc"
    found, expected = answers(model)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_user_may_say_what_the_shape_does_not(tmp_path):
    square = written(tmp_path, ("batch", 3, 8, 3))  # 72 pixels either way
    assert open_classifier(square)[1].input_shape == (3, 8, 3)
    model, card = open_classifier(square, "nhwc")
    assert card.input_shape == (3, 3, 8) and card.preprocessing.layout == "nhwc"
    assert model.graph.node[0].op_type == "Transpose"


def test_the_layout_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"shape \(batch, 4, 6, 3\)") as caught:
        open_classifier(written(tmp_path), "nchw")
    assert caught.value.slug == "not-a-classifier"


def test_what_we_noted_in_a_file_is_its_preprocessing(tmp_path):
    notes = {"author": "x", PREPROCESSING: note_preprocessing(OURS)}
    path = written(tmp_path, ("batch", 3, 4, 6), notes=notes)
    assert noted_preprocessing(onnx.load(path)) == OURS
    assert open_classifier(path)[1].preprocessing == OURS
    assert open_classifier(written(tmp_path, ("batch", 3, 4, 6)))[1].preprocessing == Preprocessing()


def test_a_file_of_ours_reads_channels_first_whatever_it_came_from():
    note = note_preprocessing(Preprocessing(layout="nhwc"))
    model = onnx.ModelProto()
    helper.set_model_props(model, {PREPROCESSING: note})
    assert noted_preprocessing(model) == Preprocessing()
    assert noted_preprocessing(onnx.ModelProto()) is None


def test_a_note_that_is_not_ours_is_said(tmp_path):
    with pytest.raises(DataError, match=PREPROCESSING) as caught:
        open_classifier(written(tmp_path, notes={PREPROCESSING: "{"}))
    assert caught.value.slug == "broken-onnx" and "--preprocess" in caught.value.remedy
