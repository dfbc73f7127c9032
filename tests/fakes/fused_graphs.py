"""Blocks of convolutions that can be computed as one operation, by the pattern they show."""

from dataclasses import replace

from forge_graphs import Network

from tensordyno.forge import graph as g

PATTERNS = {"both": 3, "pair": 2, "pair with residual": 2, "shortcut": 2}  # and how many parts each has
CHANNELS = 16


def convolution(net, x, channels, kernel=(1, 1), *, residual=None, clamp=None, scale=0.1, **attributes):
    """An int8 convolution of an int8 image, or a real one; returns the name of its result.

    `scale`: of the result, None of a real one.
    """
    made = net.conv(x, channels, kernel, int8=scale is not None, **attributes)
    net.tensors[made] = replace(net.tensors[made], scale=scale)
    inputs = (x,) if residual is None else (x, residual)
    net.nodes[-1] = replace(net.nodes[-1], inputs=inputs, clamp=clamp)
    return made


def block(net, x, pattern, *, width=CHANNELS, stride=(1, 1), real=False):
    """A residual network's block over x, or a part of one: its last layers show the pattern."""
    channels = net.shape(x)[0]
    kernel = (1, 3) if pattern == "shortcut" else (3, 3)
    strides = {"stride": (1, 1) if pattern == "pair with residual" else stride}
    scales = [None] * 4 if real else [0.11, 0.07, 0.09, 0.13]
    narrow = convolution(net, x, width, clamp=g.Clamp(), scale=scales[0])
    narrow = convolution(net, narrow, width, kernel, clamp=g.Clamp(), scale=scales[1], **strides)
    residual = x if pattern == "pair with residual" else None
    if pattern in ("both", "shortcut"):
        residual = convolution(net, x, channels, scale=scales[2], **strides)
    return convolution(net, narrow, channels, residual=residual, clamp=g.Clamp(), scale=scales[3])


def network(*patterns, seed=0, size=(6, 5), width=CHANNELS, stride=(1, 1), real=False):
    """Blocks behind an image, quantised unless `real`, and the mean of what they make as logits."""
    net = Network(CHANNELS, *size, seed=seed)
    x = "images" if real else net.quantize("images", 0.03)
    for pattern in patterns:
        x = block(net, x, pattern, width=width, stride=stride, real=real)
    return net, net.reshape(net.mean(x))
