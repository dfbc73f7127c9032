"""VGG-16 and VGG-19, configurations D and E of Simonyan and Zisserman 2014 (arXiv 1409.1556)."""

from typing import Any

from torch import Tensor, nn

NETWORKS: dict[str, dict[str, Any]] = {
    "vgg16": {"preprocessing": {"resize": 256}},
    "vgg19": {"preprocessing": {"resize": 256}},
}

_CHANNELS = (64, 128, 256, 512, 512)
_DEPTHS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # convolutions of each stage


class Vgg(nn.Module):
    """Stages of 3x3 convolutions, each halved by a pool, and three fully connected layers."""

    def __init__(self, depths: tuple[int, ...], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for outputs, depth in zip(_CHANNELS, depths, strict=True):
            for _ in range(depth):
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            *(nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout()),
            *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()),
            nn.Linear(4096, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 3, 224, 224) to logits (n, classes)."""
        return self.classifier(self.features(x).flatten(1))


def build(name: str, classes: int | None = None) -> nn.Module:
    """The network `name`; `classes` overrides the card's."""
    return Vgg(_DEPTHS[name], classes or 1000)
