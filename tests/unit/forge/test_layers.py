import numpy as np
import pytest
from forge_graphs import Network, kinds
from fused_graphs import network

from tensordyno.forge import graph as g
from tensordyno.forge.layers import layer_table
from tensordyno.forge.passes import fuse_convolutions, fuse_stem
from tensordyno.forge.simplify import simplify


class Shapes(Network):
    """A network whose weights take no memory."""

    def conv(self, x, channels, kernel=(3, 3), stride=(1, 1), groups=1):
        weight = np.broadcast_to(np.float32(0), (channels, self.shape(x)[0] // groups, *kernel))
        pads = (kernel[0] // 2, kernel[1] // 2) * 2
        shape = (channels, *self.sizes(x, kernel, pads, stride))
        return self.add(g.Convolution, x, shape, weight=weight, stride=stride, pads=pads, groups=groups)


def resnet50():
    """He et al., "Deep Residual Learning", table 1, with the stride in the 3 x 3 convolution."""
    net = Shapes(3, 224, 224)
    x = net.relu(net.conv("images", 64, (7, 7), (2, 2)))
    x = net.pool(g.MaxPool, x, (3, 3), (2, 2), (1, 1, 1, 1))
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            width, stride = 64 * 2**stage, (2, 2) if stage and not block else (1, 1)
            branch = net.relu(net.conv(x, width, (1, 1)))
            branch = net.conv(net.relu(net.conv(branch, width, (3, 3), stride)), 4 * width, (1, 1))
            x = net.relu(net.sum(branch, x if block else net.conv(x, 4 * width, (1, 1), stride)))
    flat = net.reshape(net.reshape(net.mean(x)), 2048, 1, 1)
    return net.graph(net.reshape(net.conv(flat, 1000, (1, 1))))


@pytest.fixture(scope="module")
def graph():
    return simplify(resnet50())


def test_resnet50_has_its_known_products_and_bytes(graph):
    table = layer_table(graph)
    assert sum(layer.macs for layer in table) == 4_089_184_256  # torchvision: 4.089 GMAC
    activations = sum(layer.read_bytes + layer.written_bytes for layer in table)
    assert activations == pytest.approx(27.35e6, abs=0.005e6)
    weights = sum(layer.weight_bytes for layer in table)
    assert weights == 25_502_912  # 25,557,032 parameters less 53,120 of normalisation and 1,000 biases
    doubled = layer_table(graph, element_bytes=2)
    moved = sum(layer.moved_bytes(1024) for layer in doubled)
    assert moved == pytest.approx(2 * (activations + weights / 1024))


def test_its_roof_on_one_h200(graph):
    """Counted by hand for the record: 989.5 T products/s (two operations each) and 4.8 TB/s."""
    table = layer_table(graph)
    assert 1 / sum(layer.seconds(1979e12 / 2, 4.8e12, 1024) for layer in table) == pytest.approx(
        140_727, rel=1e-3
    )


def test_every_kernel_is_a_row(graph):
    table = layer_table(graph)
    assert [layer.kind for layer in table] == kinds(graph)
    assert [layer.name for layer in table] == [node.name for node in graph.nodes]
    assert len(table) == 53 + 1 + 2


def test_rows():
    net = Network(4, 8, 6)
    x = net.conv("images", 8, (1, 1), stride=(2, 2), groups=2)
    y = net.pool(g.AveragePool, net.concat(x, x), (1, 2), (2, 2))
    graph = simplify(net.graph(net.sum(net.conv(y, 16), y)))
    conv, concat, pool, last = layer_table(graph, element_bytes=2)
    assert (conv.inputs, conv.output) == (((4, 8, 6),), (8, 4, 3))
    assert conv.macs == 8 * 12 * 2 and conv.weight_bytes == 2 * 8 * 2
    assert (conv.read_bytes, conv.written_bytes) == (2 * 4 * 12, 2 * 8 * 12)  # one pixel in four
    assert concat.moved_bytes(1) == 0 and concat.kind == "Concat"
    assert (pool.read_bytes, pool.written_bytes) == (2 * 16 * 2 * 1 * 2, 2 * 16 * 2 * 1)
    assert last.inputs == ((16, 2, 1), (16, 2, 1)) and last.read_bytes == 2 * 2 * 32
    assert last.moved_bytes(4) == 2 * 3 * 32 + last.weight_bytes / 4
    assert last.seconds(1e3, 1e9, 1) == last.macs / 1e3 and last.seconds(1e9, 1.0, 1) == last.moved_bytes(1)


def test_what_is_no_convolution_reads_and_writes_everything():
    net = Network(2, 4, 4)
    total, relu = layer_table(net.graph(net.relu(net.sum("images", "images"))))
    assert (total.read_bytes, total.written_bytes, total.macs) == (64, 32, 0)
    assert (relu.read_bytes, relu.written_bytes, relu.weight_bytes) == (32, 32, 0)


def test_what_lies_between_fused_layers_is_not_moved():
    net, logits = network("both", stride=(2, 2), size=(6, 4), width=32)
    graph = net.graph(logits)
    *_, middle, side, last, _, _ = layer_table(graph)
    found = next(row for row in layer_table(fuse_convolutions.run(graph)) if row.kind == "Fused")
    assert found.inputs == ((32, 6, 4), (16, 6, 4)) and found.output == (16, 3, 2)
    assert found.macs == middle.macs + side.macs + last.macs
    assert found.weight_bytes == 32 * 32 * 9 + 16 * 16 + 16 * 32
    assert found.read_bytes == 32 * 24 + 16 * 6  # one pixel in four
    assert found.written_bytes == last.written_bytes == 16 * 6


def test_a_stem_and_its_pool_are_one_layer():
    net = Network(3, 16, 20)
    x = net.conv(net.quantize("images", 0.03), 64, (7, 7), int8=True, stride=(2, 2))
    pooled = net.pool(g.MaxPool, x, (3, 3), (2, 2), (1, 1, 1, 1))
    for name in (x, pooled):
        net.tensors[name] = g.Tensor(name, net.shape(name), 0.05)
    graph = net.graph(pooled)
    _, convolution, pool = layer_table(graph)
    _, stem = layer_table(fuse_stem.run(graph))
    assert (stem.kind, stem.macs, stem.inputs) == ("ConvolutionMaxPool", convolution.macs, convolution.inputs)
    assert stem.weight_bytes == convolution.weight_bytes
    assert stem.moved_bytes(1) == 3 * 16 * 20 + pool.written_bytes + stem.weight_bytes
