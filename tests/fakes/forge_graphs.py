"""Forge graphs made by hand: a builder that keeps count of shapes, and whole networks drawn at random."""

from math import inf

import numpy as np
from hypothesis import strategies as st

from tensordyno.forge import graph as g


class Network:
    """Each method adds a node and returns the name of its result.

    `exact` draws numbers of a few bits, whose sums and products float32 holds.
    """

    def __init__(self, *shape, seed=0, exact=False):
        self.random = np.random.default_rng(seed)
        self.exact = exact
        self.nodes, self.tensors = [], {"images": g.Tensor("images", shape)}

    def add(self, kind, inputs, shape, scale=None, unsigned=False, **attributes):
        output = f"t{len(self.nodes)}"
        inputs = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        name = f"{kind.__name__}_{len(self.nodes)}"
        self.nodes.append(kind(name=name, inputs=inputs, output=output, **attributes))
        self.tensors[output] = g.Tensor(output, tuple(shape), scale, unsigned)
        return output

    def shape(self, x):
        return self.tensors[x].shape

    def numbers(self, *shape, scale=1.0):
        """Normal numbers, or small multiples of 1/8."""
        if self.exact:
            return (self.random.integers(-6, 7, shape) / 8).astype(np.float32)
        return (self.random.standard_normal(shape) * scale).astype(np.float32)

    def conv(self, x, channels, kernel=(3, 3), *, int8=False, bias=True, groups=1, pads=None, **attributes):
        inputs = self.shape(x)[0] // groups
        if pads is None:
            pads = (kernel[0] // 2, kernel[1] // 2) * 2
        attributes |= {"pads": pads, "groups": groups, "bias": self.numbers(channels) if bias else None}
        weights = (channels, inputs, *kernel)
        if int8:
            attributes["weight"] = self.random.integers(-20, 21, weights, np.int8)
            attributes["weight_scale"] = self.scales(channels)
        else:
            attributes["weight"] = self.numbers(*weights, scale=(inputs * kernel[0] * kernel[1]) ** -0.5)
        flat = len(self.shape(x)) == 1
        sizes = () if flat else self.sizes(x, kernel, **attributes)
        return self.add(g.Convolution, x, (channels, *sizes), **attributes)

    def scales(self, channels):
        if self.exact:
            return np.exp2(self.random.integers(-8, -5, channels)).astype(np.float32)
        return self.random.uniform(0.004, 0.02, channels).astype(np.float32)

    def sizes(self, x, kernel, pads=(0, 0, 0, 0), stride=(1, 1), dilation=(1, 1), ceil=False, **_):
        found = []
        for axis, size in enumerate(self.shape(x)[1:]):
            before, step = pads[axis], stride[axis]
            span = size + before + pads[axis + 2] - dilation[axis] * (kernel[axis] - 1) - 1
            last = -(-span // step) if ceil else span // step
            hangs_over = ceil and last * step >= size + before  # a window behind the image is none
            found.append(last + 1 - hangs_over)
        return tuple(found)

    def pool(self, kind, x, kernel=(2, 2), stride=(2, 2), pads=(0, 0, 0, 0), **attributes):
        sizes = self.sizes(x, kernel, pads, stride, ceil=attributes.get("ceil", False))
        shape = (self.shape(x)[0], *sizes)
        return self.add(kind, x, shape, kernel=kernel, stride=stride, pads=pads, **attributes)

    def relu(self, x, low=0.0, high=inf, **format_):
        return self.add(g.Activation, x, self.shape(x), clamp=g.Clamp(low, high), **format_)

    def affine(self, x, offset=True):
        channels = self.shape(x)[0]
        factor = np.exp2(self.random.integers(-1, 2, channels)) * self.random.choice([-1, 1], channels)
        if not self.exact:
            factor = self.random.uniform(-1.5, 1.5, channels)
        offset = self.numbers(channels) if offset else np.zeros(channels, np.float32)
        return self.add(g.Affine, x, self.shape(x), factor=factor.astype(np.float32), offset=offset)

    def sum(self, a, b):
        return self.add(g.Add, (a, b), self.shape(a))

    def concat(self, *parts):
        channels = sum(self.shape(part)[0] for part in parts)
        return self.add(g.Concat, parts, (channels, *self.shape(parts[0])[1:]))

    def pad(self, x, *pads):
        channels, height, width = self.shape(x)
        return self.add(
            g.Pad, x, (channels, height + pads[0] + pads[2], width + pads[1] + pads[3]), pads=pads
        )

    def reshape(self, x, *shape):
        return self.add(g.Reshape, x, shape or (int(np.prod(self.shape(x))),))

    def mean(self, x):
        return self.add(g.GlobalAveragePool, x, (self.shape(x)[0], 1, 1))

    def quantize(self, x, scale, unsigned=False):
        return self.add(g.Quantize, x, self.shape(x), scale, unsigned)

    def dequantize(self, x):
        return self.add(g.Dequantize, x, self.shape(x))

    def rounded(self, x, scale=0.0625, unsigned=False):
        return self.dequantize(self.quantize(x, scale, unsigned))

    def graph(self, output):
        return g.Graph("images", output, (), {}).with_nodes(tuple(self.nodes), *self.tensors.values())

    def images(self, count=2):
        """The same ones each time."""
        random, shape = np.random.default_rng(5), (count, *self.shape("images"))
        if self.exact:
            return (random.integers(-32, 33, shape) / 16).astype(np.float32)
        return random.standard_normal(shape).astype(np.float32)


def kinds(graph):
    """Names of the operations, in order."""
    return [type(node).__name__ for node in graph.nodes]


def check_order(graph):
    """Each node finds its inputs made, each tensor is made once, and shapes and names are known."""
    made = {graph.input}
    for node in graph.nodes:
        assert set(node.inputs) <= made, node.name
        assert node.output not in made, node.name
        made.add(node.output)
    assert graph.output in made
    assert set(graph.tensors) == made


_SCALES = (2.0**-5, 2.0**-4, 2.0**-3)


class _Drawn:
    """A network while it is drawn; `rounds` draws a rounding, or none, behind a result."""

    def __init__(self, draw, quantized):
        self.draw = draw
        self.quantized = quantized
        sides = (draw(st.sampled_from([8, 12])), draw(st.sampled_from([8, 16])))
        self.network = Network(
            draw(st.sampled_from([2, 3])), *sides, seed=draw(st.integers(0, 2**31)), exact=quantized
        )

    def one_of(self, *choices):
        return self.draw(st.sampled_from(choices))

    def rounds(self, x, maybe=False):
        if not self.quantized or (maybe and self.one_of(True, False)):
            return x
        positive = self.one_of(True, False, False)
        return self.network.rounded(x, self.one_of(*_SCALES), positive)

    def conv(self, x, channels, kernel=(3, 3), rounded=True, **attributes):
        """A convolution of rounded numbers, or of float ones."""
        if self.quantized and rounded:
            x = self.rounds(x)
        int8 = self.quantized and self.one_of(True, True, True, False)
        return self.network.conv(x, channels, kernel, int8=int8, bias=self.one_of(True, False), **attributes)

    def activated(self, x):
        bounds = self.one_of(None, (0.0, inf), (0.0, 2.0), (-1.0, 1.53125))
        return x if bounds is None else self.network.relu(x, *bounds)

    def plain(self, x):
        strides = self.one_of((1, 1), (2, 1), (2, 2))
        kernel = self.one_of((3, 3), (1, 1), (1, 3))
        return self.activated(self.conv(x, self.one_of(4, 6), kernel, stride=strides))

    def normalised(self, x):
        x = self.rounds(self.network.affine(self.conv(x, 4)), maybe=True)
        return self.activated(x)

    def affine_first(self, x):
        x = self.network.affine(self.rounds(x), offset=self.one_of(True, False))
        return self.rounds(self.network.conv(x, 4, (1, 1) if self.one_of(True, False) else (3, 3)))

    def grouped(self, x):
        x = self.plain(self.network.relu(self.conv(x, 4)))
        channels = self.network.shape(x)[0]
        return self.activated(self.conv(x, channels * self.one_of(1, 2), groups=self.one_of(2, channels)))

    def residual(self, x):
        channels = self.network.shape(x)[0]
        x = self.rounds(x)
        branch = self.conv(self.activated(self.conv(x, 4)), channels)
        other = self.one_of(lambda: x, lambda: self.rounds(self.conv(x, channels, (1, 1)), maybe=True))()
        operands = self.one_of((branch, other), (other, branch))
        return self.activated(self.rounds(self.network.sum(*operands), maybe=True))

    def branches(self, x):
        parts = [
            self.rounds(self.activated(self.conv(x, self.one_of(2, 3), (1, 1))), maybe=True) for _ in range(2)
        ]
        return self.rounds(self.network.concat(*parts, self.one_of(*parts, x)), maybe=True)

    def max_pool(self, x):
        x = self.rounds(x, maybe=True)
        pads = self.one_of((0, 0, 0, 0), (1, 1, 1, 1))
        ceil = self.one_of(True, False)
        x = self.network.pool(g.MaxPool, x, (3, 3), self.one_of((1, 1), (2, 2)), pads, ceil=ceil)
        return self.activated(self.rounds(x, maybe=True))

    def average_pool(self, x):
        """Of four pixels in rounded networks: their mean is exact in float32."""
        x = self.rounds(x)
        if self.quantized:
            return self.rounds(self.network.pool(g.AveragePool, x, (2, 2), self.one_of((1, 1), (2, 2))))
        pads = self.one_of((0, 0, 0, 0), (1, 0, 1, 1))
        counts, ceil = self.one_of(True, False), self.one_of(True, False)
        if self.one_of(True, False):
            x = self.network.pad(x, 1, 1, 0, 1)
        return self.network.pool(g.AveragePool, x, (3, 3), (2, 2), pads, count_pads=counts, ceil=ceil)

    def padded(self, x):
        x = self.network.pad(self.rounds(x, maybe=True), self.one_of(0, 1), 1, self.one_of(0, 2), 0)
        return self.activated(
            self.conv(x, 4, rounded=self.one_of(True, False), pads=self.one_of((0,) * 4, (1,) * 4))
        )

    def head(self, x):
        x = self.rounds(x)
        if min(self.network.shape(x)[1:]) >= 2 and self.one_of(True, False):
            x = self.network.pool(g.MaxPool, x)
        flat = self.rounds(self.network.reshape(x), maybe=True)
        if self.one_of(True, False):
            flat = self.activated(self.conv(flat, 6, (1, 1)))
        logits = self.conv(flat, 5, (1, 1))
        return self.one_of(lambda: logits, lambda: self.rounds(logits))()


PARTS = (
    "plain",
    "normalised",
    "affine_first",
    "grouped",
    "residual",
    "branches",
    "max_pool",
    "average_pool",
    "padded",
)


@st.composite
def networks(draw, quantized=False):
    """A random graph with two images for it. Quantized ones add and multiply exactly, in whatever order."""
    drawn = _Drawn(draw, quantized)
    x = drawn.activated(drawn.conv("images", 4))
    for part in draw(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4)):
        if min(drawn.network.shape(x)[1:]) >= 4:
            x = getattr(drawn, part)(x)
    return drawn.network.graph(drawn.head(x)), drawn.network.images()
