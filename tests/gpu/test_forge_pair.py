"""3 x 3 and 1 x 1 convolutions in one kernel on a GPU: every choice makes the oracle's integers."""

import numpy as np
import pytest
from hopper_operations import folded_results
from pair_operations import pair_operation

from tensordyno.forge.graph import Clamp
from tensordyno.forge.parts import parts_of

pytestmark = pytest.mark.gpu

POISON = 77
GUARD = 512  # bytes before and behind each storage
BATCHES = (1, 3, 7, 255)
PAIRS = {  # in the largest batch programs have several tiles each
    "first": pair_operation(64, size=(9, 14), residual=True, beside=16, seed=1),
    "alone": pair_operation(64, size=(13, 6), clamp=None, seed=2),
    "wider": pair_operation(64, 512, size=(5, 31), clamp=Clamp(-1, 3), between_clamp=Clamp(0, 2), seed=3),
    "strided": pair_operation(64, size=(11, 8), stride=(2, 2), residual=True, beside=32, seed=4),
    "second": pair_operation(128, size=(14, 20), residual=True, beside=16, seed=5),
    "second, of steps": pair_operation(128, size=(14, 9), stride=(2, 2), between_clamp=None, seed=6),
    "third": pair_operation(256, size=(12, 13), residual=True, beside=16, seed=7),
    "third, of steps": pair_operation(256, size=(13, 10), stride=(2, 2), seed=8),
    "many": pair_operation(64, size=(20, 21), residual=True, seed=9),
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
    jobs = [job for operation in PAIRS.values() for job in jobs_for(operation, found)]
    assert compile_all(jobs, found) == {}
    return found


def kernel():
    from tensordyno.forge.kernels.hopper_pair import HopperPair

    return HopperPair()


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


def exact_sums(node, image):
    """(batch, height, width, out channels) int64 of an image (batch, height, width, channels) of integers."""
    import torch
    from torch.nn import functional

    top, left, bottom, right = node.pads
    padded = functional.pad(image.permute(0, 3, 1, 2).double(), (left, right, top, bottom))
    weight = torch.from_numpy(node.weight).cuda().double()
    sums = functional.conv2d(padded, weight, stride=node.stride)
    return sums.permute(0, 2, 3, 1).cpu().numpy()


def expected(operation, storages):
    """Exact sums by float64 convolutions and the folded epilogue, part by part."""
    import torch

    window, expand = parts_of(operation)
    between = folded_results(window, exact_sums(window.node, storages[window.inputs[0]][2]))
    assert 0.02 < np.mean(between > 0) < 0.98  # there is something to be wrong about
    sums = exact_sums(expand.node, torch.from_numpy(between).cuda())
    residual = storages[expand.inputs[1]][2].cpu().numpy() if expand.node.has_residual else None
    return folded_results(expand, sums, residual)


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("name", PAIRS)
def test_every_choice_is_exact(name, batch_size, target):
    import torch

    operation = PAIRS[name]
    weights = {key: torch.from_numpy(array).cuda() for key, array in kernel().weights(operation).items()}
    storages = made(operation, batch_size, seed=batch_size)
    wanted = expected(operation, storages)
    whole, _, elements = storages[operation.output]
    for choice in choices_of(operation, target):
        whole.fill_(POISON)
        kernel().launch(operation, choice, batch_size, lambda view: storages[view][1], weights, target).run()
        found = elements.cpu().numpy()
        differ = np.argwhere(found != wanted)
        assert len(differ) == 0, f"{choice}: {len(differ)} differ, first {differ[:4].tolist()}"
        elements.fill_(POISON)
        assert torch.all(whole == POISON), f"{choice} wrote beside its output"
