import numpy as np
import pytest
import torch
from forge_graphs import Network
from forge_kernels import CPU, RIGHT, relu_kernels, relu_program

from tensordyno.errors import Unsupported, UsageError
from tensordyno.forge.choices import Chosen
from tensordyno.forge.evaluate import evaluate
from tensordyno.forge.kernels import catalogue
from tensordyno.forge.lower import lower
from tensordyno.forge.runtime import Executable
from tensordyno.forge.selection import select
from tensordyno.forge.simplify import simplify
from tensordyno.forge.weights import Weights
from tensordyno.vocabulary import Precision


@pytest.fixture
def executable(monkeypatch):
    """Two activations of images (16, 2, 4) in batches of three."""
    monkeypatch.setattr(catalogue, "all_kernels", relu_kernels())
    choices = (Chosen(kernel="relu", choice=(64, RIGHT)),) * 2
    return Executable(relu_program(), 3, choices, CPU, Weights(CPU.torch))


def test_runs_what_stands_in_its_input(executable):
    images = torch.randn(3, 2, 4, 16)
    executable.input.copy_(images)
    executable.run()
    assert executable.input.shape == (3, 2, 4, 16) and executable.logits.shape == (3, 16)
    torch.testing.assert_close(executable.logits, images[:, 0, 0].clamp(min=0), rtol=0, atol=0)
    executable.input.copy_(-images)
    executable.run()
    torch.testing.assert_close(executable.logits, (-images[:, 0, 0]).clamp(min=0), rtol=0, atol=0)


def test_all_is_in_one_arena(executable):
    storage = executable.input.untyped_storage().data_ptr()
    tensors = [executable.logits]
    for launch in executable.launches:
        tensors += [value for value in launch.arguments.values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == 7 and {each.untyped_storage().data_ptr() for each in tensors} == {storage}
    scratch = {launch.arguments["scratch"].data_ptr() for launch in executable.launches}
    others = {
        launch.arguments[name].data_ptr() for launch in executable.launches for name in ("image", "output")
    }
    assert len(scratch) == 1 and not scratch & others


def test_planar_images_enter(executable):
    images = torch.randn(2, 16, 2, 4)
    executable.input.fill_(7)
    executable.enter(images)
    assert torch.equal(executable.input[:2], images.permute(0, 2, 3, 1))
    assert (executable.input[2] == 7).all()
    executable.enter(images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2).flip(0))
    assert torch.equal(executable.input[:2], images.flip(0).permute(0, 2, 3, 1))
    executable.enter(images[:0])
    assert (executable.input[2] == 7).all()


def test_refuses_other_images(executable):
    with pytest.raises(UsageError):
        executable.enter(torch.zeros(2, 16, 4, 2))
    with pytest.raises(ValueError, match="4 images do not fit into a batch of 3"):
        executable.enter(torch.zeros(4, 16, 2, 4))


def made(graph, precision, batch_size):
    program, weights = lower(graph, precision), Weights(CPU.torch)
    choices = select(program, (batch_size,), CPU, weights).choices[batch_size]
    return Executable(program, batch_size, choices, CPU, weights)


@pytest.mark.parametrize("unsigned", [False, True])
def test_images_of_a_network_of_integers(unsigned):
    """Integers enter as they are, real numbers rounded to the image's scale."""
    network = Network(3, 4, 6)
    x = network.relu(network.rounded("images", 0.05, unsigned))
    graph = simplify(network.graph(network.reshape(network.mean(x), 3)))
    executable = made(graph, Precision.INT8, 2)
    dtype = torch.uint8 if unsigned else torch.int8
    assert executable.input.dtype == dtype and executable.input.shape == (2, 4, 6, 3)
    images = network.images(2) * 3
    executable.enter(torch.from_numpy(images))
    integers = np.clip(
        np.rint(images * np.float32(1 / np.float32(0.05))), *((0, 255) if unsigned else (-128, 127))
    )
    np.testing.assert_array_equal(executable.input.numpy(), integers.transpose(0, 2, 3, 1))
    executable.run()
    np.testing.assert_allclose(executable.logits, evaluate(graph, images), atol=1e-2)
    first = executable.logits.clone()
    executable.input.zero_()
    executable.enter(torch.from_numpy(integers.transpose(0, 2, 3, 1)).to(dtype))
    executable.run()
    assert torch.equal(executable.logits, first)


def test_refuses_a_batch_that_is_too_large(monkeypatch):
    monkeypatch.setattr(catalogue, "all_kernels", relu_kernels())
    choices = (Chosen(kernel="relu", choice=(64, RIGHT)),) * 2
    with pytest.raises(Unsupported, match="kernels count to"):
        Executable(relu_program(), 2**25, choices, CPU, Weights(CPU.torch))


def test_a_graph_is_replayed_but_not_into_another(executable, monkeypatch):
    replayed = []
    executable._graph = type("Graph", (), {"replay": lambda self: replayed.append(1)})()
    recording = False
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: recording)
    executable.input.fill_(1)
    executable.logits.fill_(0)
    executable.run()
    assert replayed == [1] and (executable.logits == 0).all()
    recording = True
    executable.run()
    assert replayed == [1] and (executable.logits == 1).all()
