"""BN-Inception (Ioffe and Szegedy 2015, arXiv 1502.03167), with the widths of its Caffe and MXNet releases.

The convolutions keep their biases, as in the released networks: 11,295,240 parameters.
"""

from typing import Any, NamedTuple

from torch import Tensor, nn

from tensordyno.models.layers import Concat, ConvNormRelu

NETWORKS: dict[str, dict[str, Any]] = {"inception_bn": {"preprocessing": {"resize": 256}}}


class Widths(NamedTuple):
    """Output channels of one block; with `one` 0 it halves the image and passes its max pool through."""

    one: int  # 1x1
    reduce: int  # 1x1 before the 3x3
    three: int
    reduce_double: int  # 1x1 before two 3x3
    double: int
    pool: type[nn.AvgPool2d] | type[nn.MaxPool2d]
    after: int  # 1x1 after the pool


_BLOCKS: dict[str, Widths] = {
    "3a": Widths(64, 64, 64, 64, 96, nn.AvgPool2d, 32),
    "3b": Widths(64, 64, 96, 64, 96, nn.AvgPool2d, 64),
    "3c": Widths(0, 128, 160, 64, 96, nn.MaxPool2d, 0),
    "4a": Widths(224, 64, 96, 96, 128, nn.AvgPool2d, 128),
    "4b": Widths(192, 96, 128, 96, 128, nn.AvgPool2d, 128),
    "4c": Widths(160, 128, 160, 128, 160, nn.AvgPool2d, 128),
    "4d": Widths(96, 128, 192, 160, 192, nn.AvgPool2d, 128),
    "4e": Widths(0, 128, 192, 192, 256, nn.MaxPool2d, 0),
    "5a": Widths(352, 192, 320, 160, 224, nn.AvgPool2d, 128),
    "5b": Widths(352, 192, 320, 192, 224, nn.MaxPool2d, 128),
}


class Conv(ConvNormRelu):
    """ConvNormRelu with a bias and the paper's small epsilon."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2, bias=True, eps=1e-5)


def _block(inputs: int, w: Widths) -> Concat:
    stride = 1 if w.one else 2
    branches: dict[str, nn.Module] = {"branch1x1": Conv(inputs, w.one, 1)} if w.one else {}
    branches["branch3x3"] = nn.Sequential(Conv(inputs, w.reduce, 1), Conv(w.reduce, w.three, 3, stride))
    branches["branch3x3dbl"] = nn.Sequential(
        Conv(inputs, w.reduce_double, 1),
        Conv(w.reduce_double, w.double, 3),
        Conv(w.double, w.double, 3, stride),
    )
    if not w.one:
        return Concat(**branches, pool=nn.MaxPool2d(3, 2, ceil_mode=True))
    return Concat(**branches, pool=nn.Sequential(w.pool(3, 1, padding=1), Conv(inputs, w.after, 1)))


class InceptionBn(nn.Module):
    """Stem, ten blocks, mean over the image, one fully connected layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *(Conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True)),
            *(Conv(64, 64, 1), Conv(64, 192, 3), nn.MaxPool2d(3, 2, ceil_mode=True)),
        )
        self.blocks = nn.Sequential()
        inputs = 192
        for name, widths in _BLOCKS.items():
            self.blocks.add_module(name, _block(inputs, widths))
            inputs = widths.one + widths.three + widths.double + (widths.after or inputs)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 3, 224, 224) to logits (n, classes)."""
        return self.fc(self.mean(self.blocks(self.stem(x))).flatten(1))


def build(name: str, classes: int | None = None) -> nn.Module:
    """The network `name`; `classes` overrides the card's."""
    return {"inception_bn": InceptionBn}[name](classes or 1000)
