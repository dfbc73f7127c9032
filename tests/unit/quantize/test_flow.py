import onnx
import pytest
from random_networks import CLASSES, Network

from tensordyno.quantize.flow import Flow
from tensordyno.quantize.graph import open_graph
from tensordyno.quantize.placement import place


def flow_of(network, folder, only=None):
    onnx.save(network.model(), folder / "net.onnx")
    graph = open_graph(folder / "net.onnx")
    return Flow(graph.graph, place(graph, only=only).layers)


def test_a_convolution_is_rounded_for_float_readers_and_a_gemm_is_not(tmp_path):
    network = Network(1)
    x = network.conv("images", 4)
    pooled = network.node("GlobalAveragePool", [network.node("Sigmoid", [x])])
    hidden = network.gemm(network.node("Flatten", [pooled]), CLASSES)
    network.node("Softmax", [hidden], result="logits")
    flow = flow_of(network, tmp_path)
    assert flow.is_rounded(x) and not flow.is_rounded(hidden)
    assert not flow.is_rounded("logits")


def test_what_float_made_is_read_rounded_by_int8_only(tmp_path):
    network = Network(2)
    x = network.node("Sigmoid", [network.conv("images", 4)])
    both = network.node("Mul", [network.conv(x, 4), x])
    network.head(both)
    flow = flow_of(network, tmp_path)
    readers = {node.op_type: flow.reads_rounded(node, x) for node in flow.wiring.consumers[x]}
    assert readers == {"Conv": True, "Mul": False}


def test_what_int8_made_is_read_rounded_by_all(tmp_path):
    network = Network(3)
    x = network.conv("images", 4)
    network.head(network.node("Add", [network.node("Sigmoid", [x]), network.conv(x, 4)]))
    flow = flow_of(network, tmp_path)
    assert all(flow.reads_rounded(node, x) for node in flow.wiring.consumers[x])


def test_a_relu_that_others_read_around_is_not_taken_along(tmp_path):
    network = Network(4)
    x = network.conv("images", 4)
    y = network.node("Relu", [x])
    network.head(network.node("Add", [network.conv(y, 4), x]))
    flow = flow_of(network, tmp_path)
    assert flow.is_rounded(x) and flow.is_rounded(y)
    assert any({x, y} <= set(group) for group in flow.groups())


def test_passing_on_for_nobody_is_not_done(tmp_path):
    network = Network(5)
    x = network.node("Relu", [network.conv("images", CLASSES)])
    pooled = network.node("GlobalAveragePool", [x])
    network.node("Flatten", [pooled], result="logits")
    flow = flow_of(network, tmp_path)
    assert flow.is_rounded(x) and not flow.is_rounded(pooled)


@pytest.mark.parametrize("attributes", [{"ceil_mode": 1}, {"auto_pad": "SAME_UPPER"}])
def test_averages_on_which_engines_disagree_stay_float(attributes, tmp_path):
    network = Network(6)
    x = network.node("Relu", [network.conv("images", 4)])
    pads = {} if "auto_pad" in attributes else {"pads": [1] * 4}
    x = network.node("AveragePool", [x], kernel_shape=[3, 3], count_include_pad=1, **pads, **attributes)
    network.head(network.conv(x, 4))
    flow = flow_of(network, tmp_path)
    assert flow.left_in_float32(()) == {"AveragePool": 1}


def test_shape_arithmetic_is_not_counted(tmp_path):
    network = Network(7)
    x = network.node("Sigmoid", [network.conv("images", 4)])
    y = network.node("Resize", [x, "", "", network.node("Shape", [x])])
    network.head(network.conv(y, 4))
    flow = flow_of(network, tmp_path)
    assert flow.left_in_float32(()) == {"Sigmoid": 1, "Resize": 1}
