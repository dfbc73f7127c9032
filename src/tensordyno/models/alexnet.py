"""AlexNet as torchvision defines it, and CaffeNet with its groups and local response normalisation."""

from typing import Any

from torch import Tensor, nn

from tensordyno.models.layers import LocalResponseNorm

NETWORKS: dict[str, dict[str, Any]] = {
    # Krizhevsky 2014 (arXiv 1404.5997), the one-column network; keys as torchvision
    "alexnet": {"preprocessing": {"resize": 256}},
    # BVLC reference CaffeNet: Krizhevsky et al. 2012 with pooling before normalisation; Caffe's pixels
    # are BGR, 0..255, minus the mean (104, 117, 123)
    "caffenet": {
        "input_shape": (3, 227, 227),
        "preprocessing": {
            "resize": 256,
            "mean": (0.40784314, 0.45882353, 0.48235294),
            "std": (0.00392157, 0.00392157, 0.00392157),
            "channels": "bgr",
        },
    },
}


class AlexNet(nn.Module):
    """Five convolutions (`features`) and three fully connected layers (`classifier`)."""

    def __init__(self, features: nn.Sequential, classifier: nn.Sequential) -> None:
        super().__init__()
        self.features = features
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 3, h, w) to logits (n, classes)."""
        return self.classifier(self.features(x).flatten(1))


def _pool() -> nn.Module:
    return nn.MaxPool2d(3, 2)


def _alexnet(classes: int) -> AlexNet:
    features = nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), _pool()),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), _pool()),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), _pool()),
    )
    classifier = nn.Sequential(
        *(nn.Dropout(), nn.Linear(256 * 6 * 6, 4096), nn.ReLU()),
        *(nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()),
        nn.Linear(4096, classes),
    )
    return AlexNet(features, classifier)


def _caffenet(classes: int) -> AlexNet:
    features = nn.Sequential(
        *(nn.Conv2d(3, 96, 11, 4), nn.ReLU(), _pool(), LocalResponseNorm()),
        *(nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), _pool(), LocalResponseNorm()),
        *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), _pool()),
    )
    classifier = nn.Sequential(
        *(nn.Linear(256 * 6 * 6, 4096), nn.ReLU(), nn.Dropout()),
        *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()),
        nn.Linear(4096, classes),
    )
    return AlexNet(features, classifier)


def build(name: str, classes: int | None = None) -> nn.Module:
    """The network `name`; `classes` overrides the card's."""
    return {"alexnet": _alexnet, "caffenet": _caffenet}[name](classes or 1000)
