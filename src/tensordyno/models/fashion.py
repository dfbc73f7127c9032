"""Three small networks trained on Fashion-MNIST, with their weights in the package.

LeNet-5 (LeCun et al. 1998) with ReLU and max pooling; a ResNet-8 and a VGG-6 with batch norm.
"""

from typing import Any

from torch import nn

from tensordyno.models.layers import MeanHead, Residual, conv3

NETWORKS: dict[str, dict[str, Any]] = {
    "lenet5_fashion": {
        "input_shape": (1, 28, 28),
        "classes": 10,
        "dataset": "fashion",
        "preprocessing": {"mean": (0.2860,), "std": (0.3530,), "channels": "grey"},
        "weights": "fashion/weights/lenet5_fashion.npz",
    },
    "resnet8_fashion": {
        "input_shape": (1, 28, 28),
        "classes": 10,
        "dataset": "fashion",
        "preprocessing": {"mean": (0.2860,), "std": (0.3530,), "channels": "grey"},
        "weights": "fashion/weights/resnet8_fashion.npz",
    },
    "vgg6_fashion": {
        "input_shape": (1, 28, 28),
        "classes": 10,
        "dataset": "fashion",
        "preprocessing": {"mean": (0.2860,), "std": (0.3530,), "channels": "grey"},
        "weights": "fashion/weights/vgg6_fashion.npz",
    },
}


def _lenet5(classes: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes)),
    )


def _resnet8(classes: int) -> nn.Sequential:
    blocks = (Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2))
    return nn.Sequential(conv3(1, 16), *blocks, MeanHead(64, classes))


def _vgg6(classes: int) -> nn.Sequential:
    return nn.Sequential(
        *(conv3(1, 16), conv3(16, 16), nn.MaxPool2d(2)),
        *(conv3(16, 32), conv3(32, 32), nn.MaxPool2d(2)),
        *(conv3(32, 64), MeanHead(64, classes)),
    )


def build(name: str, classes: int | None = None) -> nn.Module:
    """The network `name`; `classes` overrides the card's."""
    makers = {"lenet5_fashion": _lenet5, "resnet8_fashion": _resnet8, "vgg6_fashion": _vgg6}
    return makers[name](classes or 10)
