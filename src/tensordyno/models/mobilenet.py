"""MobileNet v2 (Sandler et al. 2018, arXiv 1801.04381) with torchvision's state-dict keys."""

from typing import Any

from torch import Tensor, nn

from tensordyno.models.layers import InvertedResidual, conv_relu6

NETWORKS: dict[str, dict[str, Any]] = {"mobilenet_v2": {"preprocessing": {"resize": 256}}}

# expansion, output channels, repeats, stride of the first: Table 2 of the paper
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV2(nn.Module):
    """Stem, 17 inverted residuals, 1x1 to 1280 channels, mean over the image, one linear layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(conv_relu6(3, 32, 3, 2))
        inputs = 32
        for expansion, outputs, repeats, stride in _STAGES:
            for position in range(repeats):
                self.features.append(InvertedResidual(inputs, outputs, expansion, 1 if position else stride))
                inputs = outputs
        self.features.append(conv_relu6(inputs, 1280, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 3, h, w) to logits (n, classes)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def build(name: str, classes: int | None = None) -> nn.Module:
    """The network `name`; `classes` overrides the card's."""
    return {"mobilenet_v2": MobileNetV2}[name](classes or 1000)
