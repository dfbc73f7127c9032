"""Ceilings of a real GPU: below what its vendor publishes, strict where they must be, and soon done."""

from time import perf_counter

import pytest

from tensordyno.analysis.peaks import peak_of
from tensordyno.records.messages import CeilingsOrder
from tensordyno.worker.ceilings import measure_ceilings

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def report():
    import torch

    torch.zeros(1, device="cuda:0")  # the context takes its own time
    begun_s = perf_counter()
    found = measure_ceilings(CeilingsOrder(device="cuda:0"))
    return found, perf_counter() - begun_s


def test_products_and_copies_are_measured_in_a_few_seconds(report):
    found, seconds = report
    told = {(c.what, c.precision) for c in found.ceilings}
    assert {("matmul", "fp32"), ("matmul", "fp16"), ("copy", ""), ("host_to_device", "")} <= told
    assert found.reason == "" and found.features["Multiprocessors"]
    assert seconds < 8


def test_no_ceiling_is_above_what_the_vendor_publishes_and_strict_fp32_is_not_tf32(report):
    import torch

    peak = peak_of(torch.cuda.get_device_name(0))
    if peak is None:
        pytest.skip("this GPU is not in the table")
    for ceiling in report[0].ceilings:
        published = peak.operations.get(ceiling.precision) if ceiling.what == "matmul" else None
        published = peak.memory if ceiling.what == "copy" else published
        if published:
            assert 0.2 < ceiling.rate / published < 1.05, ceiling


def test_the_memory_is_given_back(report):
    import torch

    assert torch.cuda.memory_allocated(0) < 2**20
