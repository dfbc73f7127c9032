import pytest

from tensordyno.engines import torch_settings
from tensordyno.engines.torch_settings import dtype_of, set_number_formats, torch_receipt
from tensordyno.errors import Unsupported
from tensordyno.vocabulary import Precision

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def strict_afterwards():
    yield
    set_number_formats(Precision.FP32)


def formats():
    backends = torch.backends
    return {
        "cuda": {backends.cuda.matmul.fp32_precision, backends.cudnn.conv.fp32_precision},
        "cpu": {backends.mkldnn.matmul.fp32_precision, backends.mkldnn.conv.fp32_precision},
    }


def test_float32_is_strict_everywhere():
    set_number_formats(Precision.TF32)
    set_number_formats(Precision.FP32)
    assert formats() == {"cuda": {"ieee"}, "cpu": {"ieee"}}


def test_tf32_is_for_cuda_only():
    set_number_formats(Precision.TF32)
    assert formats() == {"cuda": {"tf32"}, "cpu": {"ieee"}}


@pytest.mark.parametrize("precision", [Precision.TF32, Precision.FP32])
def test_older_and_newer_switches_agree(precision):
    set_number_formats(precision)
    wanted = precision is Precision.TF32
    assert torch.backends.cudnn.allow_tf32 is wanted  # raises where they contradict each other
    assert torch.backends.cuda.matmul.allow_tf32 is wanted
    assert torch.get_float32_matmul_precision() == "highest" or wanted


@pytest.mark.parametrize(
    ("precision", "name"),
    [(Precision.FP32, "float32"), (Precision.TF32, "float32"), (Precision.BF16, "bfloat16")],
)
def test_dtype(precision, name):
    assert dtype_of(precision) is getattr(torch, name)


def test_the_receipt_condenses_the_build():
    receipt = torch_receipt("torch", "cpu", Precision.FP32, 2)
    assert receipt.threads == torch.get_num_threads() == 2
    assert receipt.settings["interop threads"] == "1"
    assert "CPU capability usage" in receipt.build_flags
    assert "Build settings" not in receipt.build_flags and len(receipt.build_flags) < 300


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP16])
def test_a_format_that_this_cpu_would_emulate_is_refused(monkeypatch, precision):
    monkeypatch.setattr(torch_settings, "cpu_flags", lambda: frozenset({"avx2"}))
    with pytest.raises(Unsupported, match=f"no {precision} instructions"):
        torch_receipt("torch", "cpu", precision, 2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(Unsupported, match="sees no CUDA device"):
        torch_receipt("torch", "cuda:0", Precision.FP32, 2)


def test_an_unknown_device_is_refused():
    with pytest.raises(Unsupported, match="'tpu'"):
        torch_receipt("torch", "tpu", Precision.FP32, 2)
