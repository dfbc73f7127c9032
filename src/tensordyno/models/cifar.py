"""Seven networks for 32 x 32 images, small enough to be trained in minutes: the papers' seven in little.

ResNet-20/56/110 (He et al. 2015, arXiv 1512.03385, section 4.2, with projection shortcuts); VGG-16 with
batch norm (Simonyan & Zisserman 2014, arXiv 1409.1556) at 3/8 of its width; GoogLeNet (Szegedy et al.
2014, arXiv 1409.4842) at half its width; AlexNet with local response normalisation (Krizhevsky et al.
2012); MobileNet v2 (Sandler et al. 2018, arXiv 1801.04381). Strides are reduced as usual for CIFAR-10.
"""

from typing import Any

from torch import nn

from tensordyno.models.layers import (
    Concat,
    ConvNormRelu,
    InvertedResidual,
    LocalResponseNorm,
    MeanHead,
    Residual,
    conv3,
    conv_relu6,
)

NETWORKS: dict[str, dict[str, Any]] = {
    "alexnet_cifar": {
        "input_shape": (3, 32, 32),
        "classes": 10,
        "preprocessing": {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2470, 0.2435, 0.2616)},
    },
    "googlenet_cifar": {
        "input_shape": (3, 32, 32),
        "classes": 10,
        "preprocessing": {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2470, 0.2435, 0.2616)},
    },
    "mobilenet_v2_cifar": {
        "input_shape": (3, 32, 32),
        "classes": 10,
        "preprocessing": {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2470, 0.2435, 0.2616)},
    },
    "resnet20_cifar": {
        "input_shape": (3, 32, 32),
        "classes": 10,
        "preprocessing": {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2470, 0.2435, 0.2616)},
    },
    "resnet56_cifar": {
        "input_shape": (3, 32, 32),
        "classes": 10,
        "preprocessing": {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2470, 0.2435, 0.2616)},
    },
    "resnet110_cifar": {
        "input_shape": (3, 32, 32),
        "classes": 10,
        "preprocessing": {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2470, 0.2435, 0.2616)},
    },
    "vgg16_cifar": {
        "input_shape": (3, 32, 32),
        "classes": 10,
        "preprocessing": {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2470, 0.2435, 0.2616)},
    },
}

# channels over VGG's, 0 a pool: configuration D of the paper
_VGG16 = (1, 1, 0, 2, 2, 0, 4, 4, 4, 0, 8, 8, 8, 0, 8, 8, 8, 0)

# half of 1x1 | reduce, 3x3 | reduce, double 3x3 | after the pool: Table 1 of the paper; a pool between stages
_INCEPTIONS: tuple[tuple[tuple[int, int, int, int, int, int], ...], ...] = (
    ((32, 48, 64, 8, 16, 16), (64, 64, 96, 16, 48, 32)),
    ((96, 48, 104, 8, 24, 32), (64, 64, 128, 12, 32, 32), (128, 80, 160, 16, 64, 64)),
    ((128, 80, 160, 16, 64, 64), (192, 96, 192, 24, 64, 64)),
)

# expansion, output channels, repeats, stride of the first: Table 2 of the paper, two strides fewer
_MOBILENET = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _resnet(blocks: int, classes: int) -> nn.Sequential:
    """Three stages of `blocks` residual blocks: 6 blocks + 2 layers."""
    layers: list[nn.Module] = [conv3(3, 16)]
    inputs = 16
    for width in (16, 32, 64):
        for position in range(blocks):
            layers.append(Residual(inputs, width, 2 if width > 16 and position == 0 else 1))
            inputs = width
    return nn.Sequential(*layers, MeanHead(64, classes))


def _vgg16(classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs = 3
    for factor in _VGG16:
        layers.append(conv3(inputs, 24 * factor) if factor else nn.MaxPool2d(2))
        inputs = 24 * factor or inputs
    return nn.Sequential(*layers, MeanHead(inputs, classes))


def _inception(inputs: int, widths: tuple[int, ...]) -> Concat:
    one, reduce3, three, reduce5, five, pooled = widths
    conv = ConvNormRelu
    return Concat(
        branch1=conv(inputs, one, 1),
        branch2=nn.Sequential(conv(inputs, reduce3, 1), conv(reduce3, three, 3, padding=1)),
        branch3=nn.Sequential(
            conv(inputs, reduce5, 1), conv(reduce5, five, 3, padding=1), conv(five, five, 3, padding=1)
        ),
        branch4=nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(inputs, pooled, 1)),
    )


def _googlenet(classes: int) -> nn.Sequential:
    layers: list[nn.Module] = [conv3(3, 96)]
    inputs = 96
    for stage in _INCEPTIONS:
        if inputs != 96:
            layers.append(nn.MaxPool2d(3, 2, padding=1))
        for widths in stage:
            layers.append(_inception(inputs, widths))
            inputs = widths[0] + widths[2] + widths[4] + widths[5]
    return nn.Sequential(*layers, MeanHead(inputs, classes))


def _alexnet(classes: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 5, padding=2), nn.ReLU(), LocalResponseNorm(), nn.MaxPool2d(3, 2, padding=1)),
        *(nn.Conv2d(64, 128, 5, padding=2), nn.ReLU(), LocalResponseNorm(), nn.MaxPool2d(3, 2, padding=1)),
        *(nn.Conv2d(128, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, 192, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(192, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1), nn.Flatten()),
        *(nn.Dropout(0.5), nn.Linear(128 * 4 * 4, 512), nn.ReLU()),
        *(nn.Dropout(0.5), nn.Linear(512, classes)),
    )


def _mobilenet_v2(classes: int) -> nn.Sequential:
    layers: list[nn.Module] = [conv_relu6(3, 32, 3)]
    inputs = 32
    for expansion, outputs, repeats, stride in _MOBILENET:
        for position in range(repeats):
            layers.append(InvertedResidual(inputs, outputs, expansion, 1 if position else stride))
            inputs = outputs
    return nn.Sequential(*layers, conv_relu6(inputs, 1280, 1), MeanHead(1280, classes))


def build(name: str, classes: int | None = None) -> nn.Module:
    """The network `name`; `classes` overrides the card's."""
    wanted = classes or 10
    match name:
        case "alexnet_cifar":
            return _alexnet(wanted)
        case "googlenet_cifar":
            return _googlenet(wanted)
        case "mobilenet_v2_cifar":
            return _mobilenet_v2(wanted)
        case "vgg16_cifar":
            return _vgg16(wanted)
    return _resnet({"resnet20_cifar": 3, "resnet56_cifar": 9, "resnet110_cifar": 18}[name], wanted)
