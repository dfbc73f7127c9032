import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from random_networks import Network, answers

from tensordyno.quantize.averages import as_convolution, is_convolution, is_plain_average
from tensordyno.quantize.builder import Builder


def pool(**attributes):
    return helper.make_node("AveragePool", ["x"], ["y"], name="pool", **attributes)


@pytest.mark.parametrize(
    "attributes, convolution, plain",
    [
        ({"kernel_shape": [3, 3]}, True, True),
        ({"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1}, True, True),
        ({"kernel_shape": [3, 3], "pads": [1] * 4}, False, True),
        ({"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER"}, False, True),
        ({"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1, "ceil_mode": 1}, False, False),
        ({"kernel_shape": [3, 3], "auto_pad": "SAME_LOWER", "count_include_pad": 1}, False, False),
        ({"kernel_shape": [3]}, False, True),
    ],
)
def test_which_averages_are_convolutions(attributes, convolution, plain):
    assert is_convolution(pool(**attributes)) == convolution
    assert is_plain_average(pool(**attributes)) == plain


@pytest.mark.parametrize("strides", [[1, 1], [2, 2]])
@pytest.mark.parametrize("kernel", [(2, 2), (3, 3), (1, 4)])
def test_the_convolution_computes_the_average(strides, kernel):
    network = Network(1)
    sides = [(k - 1) // 2 for k in kernel]
    pads = [*sides, *sides]
    x = network.node(
        "AveragePool", ["images"], kernel_shape=kernel, strides=strides, pads=pads, count_include_pad=1
    )
    network.head(x)
    model = network.model()
    builder = Builder(model)
    as_convolution(model.graph.node[0], "images", 3, builder)
    for node in model.graph.node[1:]:
        builder.keep(node, list(node.input))
    written = builder.finish()
    onnx.checker.check_model(written, full_check=True)
    assert "AveragePool" not in [node.op_type for node in written.graph.node]
    stored = {t.name: numpy_helper.to_array(t) for t in written.graph.initializer}
    assert {array.dtype for array in stored.values()} >= {np.dtype(np.int8)}
    images = network.images()
    np.testing.assert_allclose(answers(written, images), answers(model, images), rtol=1e-5, atol=1e-6)
