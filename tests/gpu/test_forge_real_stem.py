"""Forge's stems of fp16 and bf16 for Hopper, convolution and max-pool in one, on a GPU.

Every choice is as near as its format allows, reads no padding, and writes nothing beside its result.
"""

import pytest
from real_operations import real_pooled_stem

from tensordyno.forge.graph import Clamp
from tensordyno.vocabulary import Precision

pytestmark = pytest.mark.gpu

GUARD = 512  # elements before and behind each storage
BATCHES = (1, 3, 7)
TOLERANCES = {Precision.FP16: 2**-9, Precision.BF16: 2**-6}  # as a part of the largest result
BF16 = Precision.BF16
STEMS = {
    "narrow": real_pooled_stem((32, 24), beside=16, seed=1),
    "narrow bf16": real_pooled_stem((32, 24), precision=BF16, clamp=None, beside=8, seed=1),
    "usual": real_pooled_stem((224, 224), seed=2),
    "usual bf16": real_pooled_stem((224, 224), precision=BF16, seed=2),
    "wide": real_pooled_stem((40, 480), clamp=Clamp(-1, 2.5), seed=3),
    "negative": real_pooled_stem((40, 480), clamp=Clamp(-9, -0.25), seed=4),
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
    jobs = [job for operation in STEMS.values() for job in jobs_for(operation, found)]
    assert compile_all(jobs, found) == {}
    return found


def kernel():
    """What is tested."""
    from tensordyno.forge.kernels.hopper_real_pooled_stem import HopperRealPooledStem

    return HopperRealPooledStem()


def choices_of(operation, target):
    """Those for few images and those for many."""
    assert kernel().takes(operation, target)
    return tuple(
        dict.fromkeys(
            choice for images in (1, 100_000) for choice in kernel().choices(operation, images, target)
        )
    )


def element_of(operation):
    """The type of torch in which an operation computes."""
    import torch

    return {Precision.FP16: torch.float16, Precision.BF16: torch.bfloat16}[operation.precision]


def jobs_for(operation, target):
    """What has to be compiled for all choices of an operation."""
    import torch

    from tensordyno.forge.compile_job import jobs_of

    weights = {name: torch.from_numpy(array) for name, array in kernel().weights(operation).items()}
    room = torch.empty(operation.inputs[0].pixels * 3, dtype=element_of(operation))
    for choice in choices_of(operation, target):
        scratch = torch.empty(kernel().scratch_bytes(operation, choice, 1), dtype=torch.uint8)
        launch = kernel().launch(operation, choice, 1, lambda view: room, weights, target, scratch)
        yield from (job.packed() for job in jobs_of(launch))


def made(operation, batch_size):
    """A random storage among NaN for each view: (whole, flat from the view on, the view's elements)."""
    import torch

    generator = torch.Generator("cuda").manual_seed(batch_size)
    storages = {}
    for view in (*operation.inputs, operation.output):
        length = batch_size * view.pixels * view.pitch
        whole = torch.full((length + 2 * GUARD,), torch.nan, dtype=element_of(operation), device="cuda")
        inner = whole[GUARD:-GUARD]
        pixels = inner.view(batch_size, view.height, view.width, view.pitch)
        elements = pixels[..., view.first : view.first + view.channels]
        if view is not operation.output:
            elements.copy_(torch.randn(elements.shape, device="cuda", generator=generator))
        storages[view] = (whole, inner[view.first :], elements)
    return storages


def expected(operation, storages):
    """What comes of the rounded operands in float64, (batch, height, width, channels)."""
    import torch
    from torch.nn import functional

    node = operation.node.convolution
    image = storages[operation.inputs[0]][2].permute(0, 3, 1, 2).double()
    weight = torch.from_numpy(node.weight).cuda().to(element_of(operation)).double()
    bias = torch.from_numpy(node.bias).cuda().double()
    between = functional.conv2d(image, weight, bias, stride=2, padding=3)
    if node.clamp is not None:
        between = between.clamp(node.clamp.low, node.clamp.high)
    return functional.max_pool2d(between, 3, 2, 1).permute(0, 2, 3, 1)


@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("name", STEMS)
def test_stems(name, batch_size, target):
    import torch

    operation = STEMS[name]
    weights = {key: torch.from_numpy(array).cuda() for key, array in kernel().weights(operation).items()}
    storages = made(operation, batch_size)
    wanted = expected(operation, storages)
    allowed = TOLERANCES[operation.precision] * float(wanted.abs().max())
    whole, _, elements = storages[operation.output]
    for choice in choices_of(operation, target):
        whole.fill_(torch.nan)
        size_bytes = kernel().scratch_bytes(operation, choice, batch_size)
        scratch = torch.full((size_bytes,), 255, dtype=torch.uint8, device="cuda")  # NaN of any format
        kernel().launch(
            operation, choice, batch_size, lambda view: storages[view][1], weights, target, scratch
        ).run()
        off = (elements.double() - wanted).abs()
        assert bool((off <= allowed).all()), f"{choice}: off by {float(off.max())}, allowed {allowed}"
        elements.fill_(torch.nan)
        assert bool(torch.isnan(whole).all()), f"{choice} wrote beside its output"
