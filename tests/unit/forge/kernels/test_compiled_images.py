"""The kernels of single images' operations, compiled for GPUs that need not be there."""

import numpy as np
import pytest
import torch
from ahead_of_time import all_resources
from forge_launching import ELEMENTS, laid, operation_of

from tensordyno.forge.graph import (
    Add,
    Affine,
    AveragePool,
    Clamp,
    GlobalAveragePool,
    LocalResponseNorm,
    MaxPool,
    Pad,
    Quantize,
    Softmax,
)
from tensordyno.forge.kernels.base import Target
from tensordyno.forge.kernels.catalogue import kernels_for
from tensordyno.forge.kernels.enter import enter_launch
from tensordyno.forge.program import Format

NAMES = {"name": "node", "inputs": ("i",), "output": "o"}
WINDOW = {"kernel": (3, 3), "stride": (2, 2), "pads": (1, 1, 1, 1)}
ONES = np.ones(192, np.float32)
CASES = [  # nodes with the height, width and channels that they read and write
    (Add(**NAMES, clamp=Clamp()), (56, 56, 64), (56, 56, 64)),
    (Affine(**NAMES, factor=ONES, offset=ONES), (28, 28, 192), (28, 28, 192)),
    (Quantize(**NAMES), (28, 28, 96), (28, 28, 96)),
    (MaxPool(**NAMES, **WINDOW), (112, 112, 64), (56, 56, 64)),
    (AveragePool(**NAMES, **WINDOW, count_pads=True), (35, 35, 192), (18, 18, 192)),
    (GlobalAveragePool(**NAMES), (7, 7, 2048), (1, 1, 2048)),
    (LocalResponseNorm(**NAMES, size=5, alpha=1e-4, beta=0.75, bias=1.0), (55, 55, 96), (55, 55, 96)),
    (Pad(**NAMES, pads=(1, 1, 1, 1)), (56, 56, 64), (58, 58, 64)),
    (Softmax(**NAMES), (1, 1, 1000), (1, 1, 1000)),
    (Softmax(**NAMES, log=True), (1, 1, 21841), (1, 1, 21841)),
]


def tensors(view):
    return torch.empty(64, dtype=ELEMENTS[view.format])


def launches(kind, target):
    """The likely best variant of each case between tensors of one format, and how images enter it."""
    for node, size, made in CASES:
        inputs = [laid(kind, *size)] * (1 + isinstance(node, Add))
        operation = operation_of(node, inputs, laid(kind, *made, storage="output"))
        kernel = kernels_for(operation, target)[0]
        choice = kernel.choices(operation, 64, target)[0]
        weights = {name: torch.tensor(array) for name, array in kernel.weights(operation).items()}
        yield kernel.launch(operation, choice, 64, tensors, weights, target)
    yield enter_launch(torch.empty(64), laid(kind, 224, 224, 3, grain=1), 64, tensors, target)


@pytest.mark.parametrize("capability", [(8, 0), (9, 0)])
def test_they_compile_and_keep_to_their_registers(capability):
    target = Target(capability=capability)
    found = [launch for kind in (Format.INT8, Format.UINT8, Format.BF16) for launch in launches(kind, target)]
    for launch, taken in zip(found, all_resources(found, capability), strict=True):
        assert taken.spills_bytes <= 8, launch.function
        assert taken.registers <= 128, launch.function
        assert taken.waits == target.overlaps, launch.function
