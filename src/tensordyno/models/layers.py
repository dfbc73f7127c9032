"""Building blocks that several families share."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvNormRelu(nn.Module):
    """Convolution, batch normalisation, ReLU; state-dict keys `conv.*` and `bn.*` as torchvision's."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
        *,
        bias: bool = False,
        eps: float = 1e-3,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias)
        self.bn = nn.BatchNorm2d(outputs, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, inputs, h, w) to (n, outputs, h', w')."""
        return F.relu(self.bn(self.conv(x)))


class Concat(nn.Module):
    """Branches over one input, joined along the channels in the order they are given."""

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, c, h, w) to (n, sum of the branches' channels, h', w')."""
        return torch.cat([branch(x) for branch in self.children()], dim=1)


def conv3(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution, batch normalisation, ReLU; state-dict keys `0.*` and `1.*`."""
    conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut, for small images.

    The short names are the keys of the trained Fashion-MNIST weights in the package.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.a = conv3(inputs, outputs, stride)
        self.b = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.n = nn.BatchNorm2d(outputs)
        self.d = (
            nn.Identity()
            if inputs == outputs and stride == 1
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, inputs, h, w) to (n, outputs, h/stride, w/stride)."""
        return F.relu(self.n(self.b(self.a(x))) + self.d(x))


class MeanHead(nn.Module):
    """Mean over the image and one fully connected layer."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.f = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, inputs, h, w) to logits (n, classes)."""
        return self.f(F.adaptive_avg_pool2d(x, 1).flatten(1))


def conv_relu6(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU6: MobileNet's building block."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6())


class InvertedResidual(nn.Module):
    """1x1 up, depthwise 3x3, linear 1x1 down; added to its input where the shapes allow.

    Sandler et al. 2018, arXiv 1801.04381, section 3.3; state-dict keys as torchvision's.
    """

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        up = [conv_relu6(inputs, wide, 1)] if expansion > 1 else []
        depthwise = conv_relu6(wide, wide, 3, stride, groups=wide)
        down = (nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.conv = nn.Sequential(*up, depthwise, *down)
        self.adds = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, inputs, h, w) to (n, outputs, h/stride, w/stride)."""
        return x + self.conv(x) if self.adds else self.conv(x)


class LocalResponseNorm(nn.Module):
    """Normalisation across neighbouring channels (Krizhevsky et al. 2012, section 3.3).

    y = x / (1 + alpha/size * sum of x^2 over `size` neighbouring channels)^beta, with Caffe's division
    of alpha by size, which is also ONNX's. An export writes one `LRN` node instead of its parts.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75) -> None:
        super().__init__()
        self.size, self.alpha, self.beta = size, alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, c, h, w) to the same shape."""
        if torch.onnx.is_in_onnx_export():
            return torch.onnx.ops.symbolic(
                "LRN",
                [x],
                {"size": self.size, "alpha": self.alpha, "beta": self.beta, "bias": 1.0},
                dtype=x.dtype,
                shape=x.shape,
            )
        # Shifted sums instead of F.local_response_norm, whose 3-d pooling knows no bfloat16 on a CPU.
        squares = F.pad(x * x, (0, 0, 0, 0, self.size // 2, self.size // 2))
        channels = x.shape[1]
        near = sum((squares[:, i : i + channels] for i in range(1, self.size)), squares[:, :channels])
        return x * (1 + self.alpha / self.size * near) ** -self.beta
