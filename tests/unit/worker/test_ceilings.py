"""What is measured and how, on the CPU; only events and pinned memory need a GPU (tests/gpu)."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tensordyno.errors import MissingPackage, Unsupported
from tensordyno.records.messages import CeilingsOrder
from tensordyno.vocabulary import Precision
from tensordyno.worker import ceilings as module
from tensordyno.worker.ceilings import Plan, by_clock, measure_ceilings, product

CPU = CeilingsOrder(device="cpu")
SMALL = Plan((Precision.FP32,), (64,), most_s=1.0, seconds=0.0, copy_bytes=2**20)


def small(**changes):
    return SMALL._replace(**changes)


def test_the_cpu_has_products_and_a_copy_of_plausible_rates():
    report = measure_ceilings(CPU, small(precisions=(Precision.FP32, Precision.INT8)))
    told = [(c.what, c.precision) for c in report.ceilings]
    assert told == [("matmul", "fp32"), ("matmul", "int8"), ("copy", "")]
    assert all(1e5 < c.rate < 1e15 for c in report.ceilings)
    assert report.ceilings[0].how == "64 x 64 x 64 torch.matmul, median of 5"
    assert report.ceilings[2].how == "1.00 MiB, read and written, median of 5"
    assert (report.reason, report.features) == ("", {}) and report.name


def test_rates_are_operations_and_bytes_over_seconds(monkeypatch):
    monkeypatch.setattr(module, "by_clock", lambda call, repeats: [2.0, 1.0, 9.0, 9.0, 2.0][:repeats])
    for fastest, seconds in ((False, 2.0), (True, 1.0)):
        product_, copy = measure_ceilings(CPU, small(fastest=fastest)).ceilings
        assert product_.rate == 2 * 64**3 / seconds
        assert copy.rate == 2 * 2**20 / seconds
        assert ("fastest of 5" if fastest else "median of 5") in product_.how


def test_the_size_grows_until_the_next_would_take_too_long(monkeypatch):
    sizes = []
    real = module.product
    monkeypatch.setattr(module, "product", lambda t, p, size, d: sizes.append(size) or real(t, p, size, d))
    monkeypatch.setattr(module, "by_clock", lambda call, repeats: [0.01] * repeats)
    report = measure_ceilings(CPU, small(sizes=(16, 32, 64), most_s=0.07))
    assert sizes == [16] and "16 x 16 x 16" in report.ceilings[0].how
    report = measure_ceilings(CPU, small(sizes=(16, 32, 64), most_s=0.09))
    assert sizes[1:] == [16, 32, 64] and "64 x 64 x 64" in report.ceilings[0].how


def test_repeats_fill_the_time_within_bounds(monkeypatch):
    counts = []

    def timed(call, repeats):
        counts.append(repeats)
        return [0.01] * repeats

    monkeypatch.setattr(module, "by_clock", timed)
    for seconds in (0.0, 0.2, 9.0):
        measure_ceilings(CPU, small(seconds=seconds))
    assert [n for n in counts if n > 3] == [5, 5, 20, 20, 50, 50]


def test_a_precision_that_fails_is_left_out_and_told_to_the_log(monkeypatch, capfd):
    real = module.product

    def refusing(torch_, precision, size, device):
        if precision is Precision.FP8:
            raise RuntimeError("no such kernel\nat all")
        return real(torch_, precision, size, device)

    monkeypatch.setattr(module, "product", refusing)
    report = measure_ceilings(CPU, small(precisions=(Precision.FP8, Precision.FP32)))
    assert [c.precision for c in report.ceilings] == ["fp32", ""]
    assert "no such kernel" in capfd.readouterr().err


def test_when_nothing_can_be_measured_the_report_says_why(monkeypatch):
    def broken(*_):
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(module, "product", broken)
    monkeypatch.setattr(module._Bench, "_copy", broken)
    report = measure_ceilings(CPU, SMALL)
    assert report.ceilings == () and report.reason == "nothing could be measured: the device is gone"


@pytest.mark.parametrize(
    "refusal",
    [MissingPackage("torch", "torch"), Unsupported("no CUDA device here."), RuntimeError("CUDA error: 3")],
)
def test_without_pytorch_or_the_device_there_is_a_reason(monkeypatch, refusal):
    def refuse(*_):
        raise refusal

    monkeypatch.setattr(module, "torch_receipt", refuse)
    report = measure_ceilings(CeilingsOrder(device="cuda:0"))
    assert report.ceilings == () and report.reason == str(refusal)


def test_fp32_is_strict_and_only_tf32_is_not():
    seen = {}
    real = module.product

    def watched(torch_, precision, size, device):
        seen[precision] = torch_.backends.cuda.matmul.allow_tf32
        return real(torch_, precision, size, device)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "product", watched)
        measure_ceilings(CPU, small(precisions=(Precision.TF32, Precision.FP32, Precision.INT8)))
    module._settle("cpu", Precision.FP32)
    assert seen == {Precision.TF32: True, Precision.FP32: False, Precision.INT8: False}


@pytest.mark.parametrize("precision", Precision)
def test_products_are_products_of_random_numbers_in_that_precision(precision):
    torch.manual_seed(0)
    call = product(torch, precision, 64, "cpu")
    left, right = (cell.cell_contents for cell in sorted_cells(call))
    found = call().to(torch.float64)
    expected = left.to(torch.float64) @ right.to(torch.float64)
    widths = {Precision.FP32: 4, Precision.TF32: 4, Precision.FP16: 2, Precision.BF16: 2}
    assert left.element_size() == right.element_size() == widths.get(precision, 1)
    assert (left != 0).to(torch.float32).mean() > 0.95
    error = (found - expected).norm() / expected.norm()
    assert error < {Precision.INT8: 1e-12, Precision.FP32: 1e-5, Precision.TF32: 1e-5}.get(precision, 1e-2)


def sorted_cells(call):
    names = dict(zip(call.__code__.co_freevars, call.__closure__, strict=True))
    return names["left"], names["right"]


def test_the_clock_is_read_once_a_call():
    calls = []
    times = by_clock(lambda: calls.append(1), 7)
    assert len(calls) == len(times) == 7 and np.min(times) >= 0


def test_gpu_features_that_only_pytorch_knows(monkeypatch):
    bench = module._Bench("cpu", SMALL)
    told = SimpleNamespace(multi_processor_count=132, L2_cache_size=60 * 2**20)
    cuda = SimpleNamespace(get_device_properties=lambda device: told)
    monkeypatch.setattr(bench, "_is_gpu", True)
    monkeypatch.setattr(bench, "_torch", SimpleNamespace(cuda=cuda))
    assert bench.features() == {"Multiprocessors": "132", "L2 cache": "60.0 MiB"}


def test_copies_leave_most_of_a_small_devices_memory_alone(monkeypatch):
    bench = module._Bench("cpu", SMALL._replace(copy_bytes=2**30))
    free = {"bytes": 2**40}
    cuda = SimpleNamespace(mem_get_info=lambda device: (free["bytes"], 2**40))
    monkeypatch.setattr(bench, "_is_gpu", True)
    monkeypatch.setattr(bench, "_torch", SimpleNamespace(cuda=cuda))
    assert bench._copy_bytes() == 2**30
    free["bytes"] = 2**30 + 5
    assert bench._copy_bytes() == 2**27
