"""Forge on a GPU: the ends of residual blocks become the oracle's integers, and nothing else is touched."""

import numpy as np
import pytest
from fused_operations import shortcut_operation, shortcut_results

from tensordyno.forge.graph import Clamp
from tensordyno.forge.parts import parts_of

pytestmark = pytest.mark.gpu

POISON = 77
GUARD = 512  # bytes before and behind each storage
BATCHES = (1, 3, 7, 255)
OPERATIONS = {
    "first": shortcut_operation(64, 64, 256, size=(9, 14), beside=16, seed=1),
    "second": shortcut_operation(256, 128, 512, size=(11, 8), stride=(2, 2), seed=2),
    "third": shortcut_operation(512, 256, 1024, size=(8, 6), stride=(2, 2), beside=32, seed=3),
    "fourth": shortcut_operation(1024, 512, 2048, size=(4, 7), stride=(2, 2), clamp=Clamp(0, 2), seed=4),
    "clamped": shortcut_operation(64, 128, 128, size=(7, 5), shortcut_clamp=Clamp(), clamp=None, seed=5),
    "between": shortcut_operation(
        128, 64, 64, size=(13, 6), stride=(1, 2), shortcut_clamp=Clamp(-1, 0.5), clamp=Clamp(-1, 3), seed=6
    ),
    "odd": shortcut_operation(96, 160, 192, size=(5, 9), stride=(2, 1), beside=16, seed=7),
}


@pytest.fixture(scope="module")
def target():
    """The GPU at hand, if it is a Hopper, with all kernels compiled on all cores."""
    import torch
    import triton

    from tensordyno.forge.compile_ahead import compile_all
    from tensordyno.forge.kernels.base import Target

    if triton.knobs.runtime.interpret:
        pytest.skip("Triton's interpreter was chosen; these tests need a process without it")
    capability = torch.cuda.get_device_capability()
    if capability[0] != 9:
        pytest.skip("these kernels are for Hopper")
    found = Target(capability=capability)
    jobs = [job for operation in OPERATIONS.values() for job in jobs_for(operation, found)]
    assert compile_all(jobs, found) == {}
    return found


def kernel():
    from tensordyno.forge.kernels.hopper_shortcut import HopperShortcut

    return HopperShortcut()


def choices_of(operation, target):
    """Those for few images and those for many."""
    assert kernel().takes(operation, target)
    return tuple(
        dict.fromkeys(
            choice for images in (1, 100_000) for choice in kernel().choices(operation, images, target)
        )
    )


def jobs_for(operation, target):
    """What has to be compiled for all choices of an operation."""
    import torch

    from tensordyno.forge.compile_job import jobs_of

    weights = {name: torch.from_numpy(array) for name, array in kernel().weights(operation).items()}
    room = torch.empty(64, dtype=torch.int8)
    for choice in choices_of(operation, target):
        launch = kernel().launch(operation, choice, 1, lambda view: room, weights, target)
        yield from (job.packed() for job in jobs_of(launch))


def made(operation, batch_size, seed):
    """A random storage in poison for each view: (whole, flat from the view on, the view's elements)."""
    import torch

    generator = torch.Generator("cuda").manual_seed(seed)
    storages = {}
    for view in (*operation.inputs, operation.output):
        length = batch_size * view.pixels * view.pitch
        whole = torch.full((length + 2 * GUARD,), POISON, dtype=torch.int8, device="cuda")
        inner = whole[GUARD:-GUARD]
        pixels = inner.view(batch_size, view.height, view.width, view.pitch)
        elements = pixels[..., view.first : view.first + view.channels]
        if view is not operation.output:
            random = torch.randint(-128, 128, elements.shape, device="cuda", generator=generator)
            elements.copy_(random)
        storages[view] = (whole, inner[view.first :], elements)
    return storages


def sums_of(part, storages):
    """Exact sums of a convolution (batch, height, width, channels), in float64."""
    import torch
    from torch.nn import functional

    image = storages[part.inputs[0]][2].permute(0, 3, 1, 2).double()
    weight = torch.from_numpy(part.node.weight).cuda().double()
    sums = functional.conv2d(image, weight, stride=part.node.stride)
    return sums.permute(0, 2, 3, 1).cpu().numpy()


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_both_convolutions_at_once(name, batch_size, target):
    import torch

    operation = OPERATIONS[name]
    weights = {name: torch.from_numpy(array).cuda() for name, array in kernel().weights(operation).items()}
    storages = made(operation, batch_size, seed=batch_size)
    wanted = shortcut_results(operation, *(sums_of(part, storages) for part in parts_of(operation)))
    whole, _, elements = storages[operation.output]
    for choice in choices_of(operation, target):
        whole.fill_(POISON)
        kernel().launch(operation, choice, batch_size, lambda view: storages[view][1], weights, target).run()
        found = elements.cpu().numpy()
        differ = np.argwhere(found != wanted)
        assert len(differ) == 0, f"{choice}: {len(differ)} differ, first {differ[:4].tolist()}"
        elements.fill_(POISON)
        assert torch.all(whole == POISON), f"{choice} wrote beside its output"
