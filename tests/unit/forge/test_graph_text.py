import msgspec
import numpy as np
import pytest
from forge_equality import same
from forge_graphs import Network, networks
from fused_graphs import network
from hypothesis import given, settings
from hypothesis import strategies as st

from tensordyno.forge import graph as g
from tensordyno.forge.graph_text import graph_from_plain, graph_to_plain
from tensordyno.forge.passes import fuse_convolutions


def travelled(graph):
    arrays = []

    def store(array):
        arrays.append(array)
        return len(arrays) - 1

    text = msgspec.json.encode(graph_to_plain(graph, store))
    return graph_from_plain(msgspec.json.decode(text), arrays)


@settings(max_examples=25)
@given(st.booleans().flatmap(lambda quantized: networks(quantized=quantized)))
def test_a_graph_comes_back_as_it_went(drawn):
    graph, _ = drawn
    same(travelled(graph), graph)


def test_every_kind_of_node_is_known():
    network = Network(4, 8, 8)
    x = network.add(g.LocalResponseNorm, "images", (4, 8, 8), size=3, alpha=1e-4, beta=0.75, bias=1.0)
    x = network.relu(network.add(g.Softmax, network.reshape(network.mean(x), 4), (4,), log=True), low=-np.inf)
    graph = network.graph(network.quantize(x, np.float32(0.1), unsigned=True))
    found = travelled(graph)
    assert found.tensor(graph.output).scale == float(np.float32(0.1))
    assert found.nodes[-2].clamp == g.Clamp(-np.inf, np.inf)
    same(found.nodes[:-1], graph.nodes[:-1])


def test_fused_layers_come_back_as_they_went():
    net, logits = network("both", "pair")
    graph = fuse_convolutions.run(net.graph(logits))
    same(travelled(graph), graph)


PLAIN = {"input": "a", "output": "b", "nodes": [], "tensors": []}


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        {},
        {**PLAIN, "nodes": [{"type": "Clamp", "low": 0.0, "high": 1.0}]},
        {**PLAIN, "nodes": [{"type": "Path", "name": "a"}]},
        {**PLAIN, "nodes": [{"name": "a"}]},
        {**PLAIN, "nodes": [{"type": "Concat", "name": "n"}]},
        {**PLAIN, "nodes": [{"type": "Concat", "name": "n", "inputs": ["a"], "output": "b", "eval": "1"}]},
        {**PLAIN, "nodes": [{"array": 3}]},
        {**PLAIN, "tensors": [{"type": "Clamp", "low": 0.0, "high": 1.0}]},
        {**PLAIN, "tensors": [{"number": "one"}]},
    ],
)
def test_refuses_what_is_no_graph(plain):
    with pytest.raises(ValueError):
        graph_from_plain(plain, [])
