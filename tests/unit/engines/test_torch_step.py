import numpy as np
import pytest

from tensordyno.engines.torch_step import Placement, torch_step

torch = pytest.importorskip("torch")

SEEN = []


def network(images):
    SEEN.append(images)
    return images.mean((2, 3))


@pytest.fixture(params=[True, False], ids=["host", "device"])
def host(request):
    SEEN.clear()
    return request.param


@pytest.fixture
def images():
    return np.random.default_rng(0).standard_normal((2, 3, 4, 4), np.float32)


def placement(dtype=torch.float32, layout=torch.contiguous_format):
    return Placement(device="cpu", dtype=dtype, layout=layout)


def test_the_input_lies_as_it_was_placed(host, images):
    step = torch_step(network, images, placement(torch.bfloat16, torch.channels_last), host)
    step.run()
    assert SEEN[0].dtype is torch.bfloat16
    assert SEEN[0].is_contiguous(memory_format=torch.channels_last)
    assert SEEN[0].is_inference()
    assert step.output().dtype == np.float32


def test_the_device_step_owns_its_input(images):
    SEEN.clear()
    step = torch_step(network, images, placement(), host=False)
    expected = images.mean((2, 3))
    images[:] = 0
    step.run()
    np.testing.assert_allclose(step.output(), expected, atol=1e-6)
    step.run()
    assert SEEN[0].data_ptr() == SEEN[1].data_ptr()  # nothing is copied from batch to batch


def test_there_is_no_output_before_a_run(host, images):
    with pytest.raises(RuntimeError, match="before its first run"):
        torch_step(network, images, placement(), host).output()


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_few_images_fill_a_batch_in_their_order(images, batch, layout):
    placed = placement(torch.float16, layout).placed(images[:batch], batch)
    assert placed.dtype is torch.float16 and placed.is_contiguous(memory_format=layout)
    expected = np.resize(images[:batch], (batch, 3, 4, 4)).astype(np.float16)
    np.testing.assert_array_equal(placed.numpy(), expected)
