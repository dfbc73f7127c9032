"""A small kernel whose choices go wrong in every way, and programs for it."""

from dataclasses import replace

import torch
import triton
import triton.language as tl
from forge_graphs import Network

from tensordyno.forge.devices import Device
from tensordyno.forge.graph import Activation
from tensordyno.forge.kernels.base import Kernel, Launch, Target
from tensordyno.forge.lower import lower
from tensordyno.vocabulary import Precision

RIGHT, WRONG, RAISES, LEAVES_THE_END, UNCOMPILED = range(5)
CPU = Device(torch=torch.device("cpu"), name="cpu", target=Target(interpreted=True))


@triton.jit
def relu_kernel(image, scratch, output, elements, ERROR: tl.constexpr, BLOCK: tl.constexpr):
    """output = max(image, 0), flat; ERROR is added."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < elements
    value = tl.maximum(tl.load(image + place, mask=inside, other=0.0), 0.0) + ERROR
    tl.store(scratch + place, value, mask=inside)
    tl.store(output + place, tl.load(scratch + place, mask=inside), mask=inside)


@triton.jit
def uncompiled_kernel(image, scratch, output, elements, ERROR: tl.constexpr, BLOCK: tl.constexpr):
    """Two shapes that do not fit."""
    tl.store(output + tl.arange(0, 16), tl.load(image + tl.arange(0, 16)) + tl.arange(0, 32))


class Relu(Kernel):
    """Whole float32 tensors; a choice is (block, what goes wrong)."""

    name = "relu"
    given = ((64, RIGHT), (128, RIGHT))

    def takes(self, operation, target):
        return isinstance(operation.node, Activation)

    def choices(self, operation, batch_size, target):
        return self.given

    def weights(self, operation):
        return {}

    def scratch_bytes(self, operation, choice, batch_size):
        return 4 * batch_size * operation.output.pixels * operation.output.pitch

    def launch(self, operation, choice, batch_size, tensors, weights, target, scratch=None):
        block, fault = choice
        if fault == RAISES:
            raise ValueError("no such\nlaunch")
        elements = batch_size * operation.output.pixels * operation.output.pitch
        assert scratch.numel() >= 4 * elements and scratch.data_ptr() % 256 == 0
        return Launch(
            function=uncompiled_kernel if fault == UNCOMPILED else relu_kernel,
            grid=(triton.cdiv(elements, block),),
            arguments={
                "image": tensors(operation.inputs[0]),
                "scratch": scratch.view(torch.float32),
                "output": tensors(operation.output),
                "elements": elements - (block if fault == LEAVES_THE_END else 0),
            },
            constants={"ERROR": float(fault == WRONG), "BLOCK": block},
        )


def relu_kernels(*choices):
    """The catalogue of one kernel with these choices."""
    kernel = Relu()
    kernel.given = choices or Relu.given
    return lambda: (kernel,)


def relu_graph(count=2, shape=(16, 2, 4)):
    """Activations one after the other over images of 16 channels, which need no padding."""
    network = Network(*shape)
    x = "images"
    for _ in range(count):
        x = network.relu(x)
    graph = network.graph(x)
    nodes = tuple(replace(node, name=f"relu{number}") for number, node in enumerate(graph.nodes))
    return replace(graph, nodes=nodes)


def relu_program(count=2):
    return lower(relu_graph(count), Precision.FP32)
