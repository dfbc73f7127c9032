import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tensordyno.quantize.score import Judgement, judge, logits_of

ONES = np.eye(3, dtype=np.float32)


def scaled(matrix):
    """A network whose logits are the images' three pixels times a matrix (3, 3)."""
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["images"], ["flat"]),
            helper.make_node("MatMul", ["flat", "matrix"], ["logits"]),
        ],
        "scaled",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 1, 1, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(np.asarray(matrix, np.float32), "matrix")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def images(count=40):
    return np.random.default_rng(0).standard_normal((count, 1, 1, 3)).astype(np.float32)


def test_logits_of_more_images_than_go_at_a_time():
    assert np.array_equal(logits_of(scaled(ONES * 2), images(), 1), images().reshape(-1, 3) * 2)


def test_an_identical_network():
    labels = np.zeros(40, np.int64)
    found = judge(scaled(ONES), images().reshape(-1, 3), images(), labels, 1)
    assert found == Judgement(None, 1.0, 0.0)


def test_the_noise_is_that_of_the_logits():
    """A tenth too large: the error has a hundredth of the power."""
    found = judge(scaled(ONES * 1.1), images().reshape(-1, 3), images(), None, 1)
    assert found.sqnr_db == pytest.approx(20, abs=1e-3) and found.agreement == 1 and found.drop is None
    assert found.loss == 0


def test_right_answers_lost_and_won():
    """Exchanging classes 0 and 1 turns every answer 0 into 1."""
    reference = images().reshape(-1, 3)
    first = reference.argmax(axis=1)
    swapped = scaled(ONES[[1, 0, 2]])
    lost = judge(swapped, reference, images(), first, 1)
    part = float((first != 2).mean())
    assert lost.drop == pytest.approx(part) and lost.agreement == pytest.approx(1 - part)
    assert lost.loss == lost.drop
    won = judge(swapped, reference, images(), np.where(first == 2, 2, 1 - first), 1)
    assert won.drop == pytest.approx(-part) and won.loss == 0
    assert judge(swapped, reference, images(), None, 1).loss == pytest.approx(part)


def test_not_a_number_is_no_perfect_answer():
    found = judge(scaled(ONES * np.nan), images().reshape(-1, 3), images(), None, 1)
    assert found.sqnr_db < -1000
