import numpy as np
import onnx
import pytest
from random_networks import CLASSES, Network, answers

from tensordyno.quantize.graph import open_graph
from tensordyno.quantize.layers import bias_of
from tensordyno.quantize.wiring import Wiring, attribute


def flat(network):
    return network.node("Flatten", [network.node("GlobalAveragePool", [network.conv("images", 6)])])


def opened(network, path):
    model = network.model()
    onnx.save(model, path / "net.onnx")
    graph = open_graph(path / "net.onnx")
    images = network.images()
    np.testing.assert_allclose(answers(graph, images), answers(model, images), rtol=1e-4, atol=1e-5)
    return graph


def test_a_product_and_a_sum_become_one_layer(tmp_path):
    network = Network(1)
    x = network.node("MatMul", [flat(network), network.constant(network.normal(6, CLASSES))])
    network.node("Add", [x, network.constant(network.normal(CLASSES))], result="logits")
    graph = opened(network, tmp_path)
    assert [node.op_type for node in graph.graph.node][-1] == "Gemm"
    assert bias_of(graph.graph.node[-1])


@pytest.mark.parametrize("shape", [(), (1,), (CLASSES,), (1, CLASSES), (1, 1)])
def test_alpha_beta_and_the_shape_of_the_bias_are_folded(shape, tmp_path):
    network = Network(2)
    inputs = [flat(network), network.constant(network.normal(CLASSES, 6))]
    inputs.append(network.constant(network.normal(*shape)))
    network.node("Gemm", inputs, result="logits", alpha=0.3, beta=-2.0, transB=1)
    graph = opened(network, tmp_path).graph
    last = graph.node[-1]
    assert attribute(last, "alpha") is None and attribute(last, "beta") is None
    assert Wiring(graph).array(last.input[2]).shape == (CLASSES,)


def test_a_bias_for_each_image_is_left_alone(tmp_path):
    network = Network(3)
    inputs = [flat(network), network.constant(network.normal(6, CLASSES))]
    inputs.append(network.constant(network.normal(4, 1)))
    network.node("Gemm", inputs, result="logits", beta=0.5)
    last = opened(network, tmp_path).graph.node[-1]
    assert attribute(last, "beta") == 0.5


def test_a_product_of_sequences_stays_a_product(tmp_path):
    network = Network(4)
    x = network.node("Reshape", [network.conv("images", 6), network.constant(np.array([-1, 6, 64]))])
    x = network.node("MatMul", [x, network.constant(network.normal(64, CLASSES))])
    network.node("ReduceMean", [x], axes=[1], keepdims=0, result="logits")
    assert "MatMul" in [node.op_type for node in opened(network, tmp_path).graph.node]
