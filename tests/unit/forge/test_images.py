import numpy as np
import pytest
import torch

from tensordyno.errors import UsageError
from tensordyno.forge.images import as_tensor, is_native
from tensordyno.forge.program import Format, View


def view(format=Format.UINT8):
    return View(storage="s", format=format, height=4, width=6, channels=3, pitch=3, scale=0.1)


class SpeaksDlpack:
    def __init__(self, tensor):
        self._tensor = tensor

    def __dlpack__(self, **asked):
        return self._tensor.__dlpack__(**asked)

    def __dlpack_device__(self):
        return self._tensor.__dlpack_device__()


@pytest.mark.parametrize("wrapped", [lambda t: t, lambda t: t.numpy(), SpeaksDlpack])
def test_shares_memory(wrapped):
    tensor = torch.arange(6, dtype=torch.float32)
    assert as_tensor(wrapped(tensor)).data_ptr() == tensor.data_ptr()


def test_takes_an_array_that_cannot_be_written():
    assert as_tensor(np.frombuffer(b"\1\2", np.uint8)).tolist() == [1, 2]


def test_refuses_what_is_no_array():
    with pytest.raises(UsageError, match="not list") as caught:
        as_tensor([[1.0]])
    assert caught.value.slug == "bad-images"


@pytest.mark.parametrize("format", Format)
def test_knows_both_forms(format):
    native = {"int8": torch.int8, "uint8": torch.uint8, "fp16": torch.float16, "bf16": torch.bfloat16}
    assert not is_native(torch.zeros(2, 3, 4, 6), view(format))
    if format in native:
        assert is_native(torch.zeros(2, 4, 6, 3, dtype=native[format]), view(format))


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 4, 6, 3, dtype=torch.int8),
        torch.zeros(2, 3, 4, 6, dtype=torch.uint8),
        torch.zeros(2, 3, 4, 6, dtype=torch.float64),
        torch.zeros(2, 3, 6, 4),
        torch.zeros(3, 4, 6),
    ],
)
def test_refuses_other_forms(images):
    with pytest.raises(UsageError) as caught:
        is_native(images, view())
    kind = str(images.dtype).removeprefix("torch.")
    assert f"are {kind} ({', '.join(map(str, images.shape))})" in caught.value.sentence
    assert "float32 (n, 3, 4, 6) or uint8 (n, 4, 6, 3)" in caught.value.sentence
