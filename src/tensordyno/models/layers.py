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
