import pytest
from fake_nvml import H200, FakeNvml

from tensordyno.errors import StoreError, WorkerFailure
from tensordyno.records.device import Ceiling
from tensordyno.records.messages import CeilingsOrder, CeilingsReport, FailureReport, ReleasedReport
from tensordyno.run import device_pages as module
from tensordyno.run.device_pages import OF_ANOTHER, device_page, telemetry_name

ROOF = Ceiling(what="matmul", rate=6.86e14, precision="fp16", how="8192 cubed")


class FakeWorker:
    """Answers one order; an answer that is an exception is raised."""

    def __init__(self, answer):
        self.answer, self.orders, self.finished = answer, [], False

    def __call__(self, log, python, threads, allocator):
        self.log = log
        return self

    def order(self, order):
        self.orders.append(order)

    def await_report(self, timeout_s, remedy=""):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def finish(self):
        self.finished = True


@pytest.fixture
def answering(monkeypatch):
    def become(answer):
        worker = FakeWorker(answer)
        monkeypatch.setattr(module, "Worker", worker)
        return worker

    return become


def test_features_of_the_driver_and_of_pytorch_and_the_measured_ceilings(answering, tmp_path):
    told = {"L2 cache": "60.0 MiB", "Multiprocessors": "999"}
    worker = answering(CeilingsReport(ceilings=(ROOF,), name="cuda's name", features=told))
    page = device_page(
        "cuda:1", tmp_path, nvml=FakeNvml(H200, {**H200, "nvmlDeviceGetName": "NVIDIA H100 PCIe"})
    )
    assert (page.device, page.name, page.reason) == ("gpu1", "NVIDIA H100 PCIe", "")
    assert page.ceilings == (ROOF,)
    assert page.features["L2 cache"] == "60.0 MiB"
    assert page.features["Multiprocessors"] == "132"  # the driver's word counts
    assert worker.orders == [CeilingsOrder(device="cuda:1")] and worker.finished
    assert worker.log == tmp_path / "ceilings-gpu1.log"


def test_one_device_of_a_name_stands_for_the_others(answering, tmp_path):
    worker = answering(CeilingsReport(ceilings=(ROOF,)))
    page = device_page("cuda:0", tmp_path, lambda name: name != "NVIDIA H200", FakeNvml(H200))
    assert (page.ceilings, page.reason, worker.orders) == ((), OF_ANOTHER, [])
    assert page.features["Memory"] == "140 GiB"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (CeilingsReport(reason="PyTorch sees no CUDA device here."), "PyTorch sees no CUDA device here."),
        (FailureReport(error="Unsupported", slug="s", sentence="No."), "No."),
        (ReleasedReport(), "answered ReleasedReport"),
        (WorkerFailure("worker-died", "It died."), "It died."),
    ],
)
def test_what_goes_wrong_is_a_reason_and_the_worker_is_ended(answering, tmp_path, answer, reason):
    worker = answering(answer)
    page = device_page("cuda:0", tmp_path, nvml=FakeNvml(H200))
    assert (page.name, page.ceilings, page.reason) == ("NVIDIA H200", (), reason)
    assert worker.finished


def test_a_worker_that_does_not_start_is_a_reason(monkeypatch, tmp_path):
    def full(*_):
        raise StoreError("disk-full", "The disk is full.")

    monkeypatch.setattr(module, "Worker", full)
    assert device_page("cuda:0", tmp_path, nvml=FakeNvml(H200)).reason == "The disk is full."


def test_without_a_driver_pytorch_names_the_device(answering, tmp_path):
    import pynvml

    answering(CeilingsReport(ceilings=(ROOF,), name="Jetson TX1", features={"Multiprocessors": "2"}))
    gone = FakeNvml(driver_error=pynvml.NVMLError_LibraryNotFound())
    page = device_page("cuda:0", tmp_path, nvml=gone)
    assert (page.name, page.features) == ("Jetson TX1", {"Multiprocessors": "2"})
    answering(CeilingsReport(reason="gone"))
    assert device_page("cuda:0", tmp_path, nvml=gone).name == "cuda:0"


def test_the_cpu_has_a_page_too(answering, tmp_path):
    answering(CeilingsReport(ceilings=(ROOF,)))
    page = device_page("cpu", tmp_path)
    assert page.device == "cpu" and page.name and page.ceilings == (ROOF,)
    assert page.features["Cores allowed"].isdecimal() and "" not in page.features.values()


def test_a_real_worker_answers_for_a_gpu_that_is_not_there(tmp_path):
    """Here without a GPU, or on a machine with fewer than 100."""
    page = device_page("cuda:99", tmp_path, nvml=FakeNvml(H200))
    assert page.ceilings == () and page.reason and (tmp_path / "ceilings-gpu99.log").exists()


@pytest.mark.parametrize(("device", "name"), [("cuda:3", "gpu3"), ("cuda", "gpu0"), ("cpu", "cpu")])
def test_devices_have_telemetrys_names(device, name):
    assert telemetry_name(device) == name
