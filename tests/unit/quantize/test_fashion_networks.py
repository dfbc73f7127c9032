"""The trained networks of the package: INT8 answers as well as FP32, in both engines and all forms."""

import numpy as np
import openvino_answers
import pytest
from qdq_network import extremes
from random_networks import answers

from tensordyno.datasets.fashion import FILE
from tensordyno.quantize.base import Form
from tensordyno.quantize.graph import open_graph
from tensordyno.quantize.placement import place
from tensordyno.quantize.qdq import write_qdq
from tensordyno.records.calibration import TensorRange

POINTS = 0.01


@pytest.fixture(scope="session")
def pictures():
    """Calibration images, test images and test labels, as the networks' cards say."""

    def inputs(pixels):
        return ((pixels[:, None].astype(np.float32) / 255 - 0.2860) / 0.3530).astype(np.float32)

    with np.load(FILE) as stored:
        return inputs(stored["x_calib"]), inputs(stored["x_test"]), stored["y_test"]


def test_int8_is_right_as_often_as_fp32_and_as_often_in_one_engine_as_in_the_other(
    fashion, pictures, tmp_path
):
    calibration, images, labels = pictures
    graph = open_graph(fashion.prepared.onnx)
    placement = place(graph)
    assert placement.kept == {} and placement.other_fp32 == {}
    seen = extremes(graph, placement.tensors, calibration)
    ranges = {}
    for group in placement.groups:
        low, high = min(seen[name][0] for name in group), max(seen[name][1] for name in group)
        ranges |= dict.fromkeys(group, TensorRange(threshold=max(-low, high), low=low, high=high))
    models = {form: write_qdq(graph, placement, ranges, form) for form in Form}

    def right(logits):
        return float((logits.argmax(axis=1) == labels).mean())

    fp32 = right(answers(graph, images, optimised=True))
    ort = {form: right(answers(models[form], images, optimised=True)) for form in Form}
    path = tmp_path / "qdq.onnx"
    ov = {
        form: right(openvino_answers.answers(models[form], images, path))
        for form in (Form.UINT8, Form.RECTIFIED)
    }
    assert all(top1 >= fp32 - 0.3 * POINTS for top1 in (*ort.values(), *ov.values()))
    assert abs(ort[Form.UINT8] - ov[Form.UINT8]) <= 0.1 * POINTS + 1e-9
    assert abs(ort[Form.UINT8] - ov[Form.RECTIFIED]) <= 0.1 * POINTS + 1e-9
    assert abs(ort[Form.UINT8] - ort[Form.INT8]) <= 0.05 * POINTS + 1e-9
