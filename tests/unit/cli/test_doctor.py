import pytest

from tensordyno.analysis.selftest import Finding
from tensordyno.cli import doctor_pages
from tensordyno.records.build import Receipt
from tensordyno.records.reading import Channel
from tensordyno.run.examine import EngineFinding
from tensordyno.telemetry.base import SensorUnavailable, Source
from tensordyno.telemetry.gpu_state import Gpus, GpuState
from tensordyno.vocabulary import Precision

RECEIPT = Receipt(engine="x", version="1.2", device="CPU", provider="CPUProvider", threads=2)
WORKS = EngineFinding("onnxruntime", RECEIPT, (Precision.FP32,), {Precision.FP8: "no fp8 here"})
MISSING = EngineFinding("openvino", None, (), {Precision.FP32: "The package [openvino] is not installed."})
NULL = EngineFinding("null", RECEIPT, tuple(Precision), {})


class Power(Source):
    name = "power"

    def __init__(self):
        self.closed = False

    def open(self):
        return (
            Channel(source="power", name="power", unit="W"),
            Channel(source="power", name="heat", unit="degC"),
        )

    def read(self):
        return (1.0, 2.0)

    def lacking(self):
        return ("fan: there is none",)

    def close(self):
        self.closed = True


class Absent(Power):
    name = "absent"

    def open(self):
        raise SensorUnavailable("no such device")


class Broken(Power):
    name = "broken"

    def open(self):
        raise ValueError("the driver is from another world")


@pytest.fixture
def machine(monkeypatch):
    sources = [Power(), Absent(), Broken()]
    monkeypatch.setattr(doctor_pages, "open_sources", lambda: sources)
    monkeypatch.setattr(doctor_pages, "gpu_states", lambda: Gpus(reason="there is no NVIDIA driver here"))
    return sources


def test_what_works_what_is_missing_and_why(dyno, monkeypatch, machine):
    monkeypatch.setattr(doctor_pages, "examine_engines", lambda device: iter([NULL, WORKS, MISSING]))
    ended = dyno("doctor")
    assert ended.status == 0 and ended.err == ""
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert "onnxruntime 1.2, CPUProvider, 2 threads fp32" in lines
    assert "fp8: no fp8 here" in lines
    assert "openvino does not run: The package [openvino] is not installed." in lines
    assert "power power [W], heat [degC]" in lines and "unavailable: fan: there is none" in lines
    assert "absent unavailable: no such device" in lines
    assert "broken unavailable: ValueError: the driver is from another world" in lines
    assert all(source.closed for source in machine)


def test_the_null_engine_alone_is_not_enough(dyno, monkeypatch, machine):
    monkeypatch.setattr(doctor_pages, "examine_engines", lambda device: iter([NULL, MISSING]))
    assert dyno("doctor").status == 1


def test_the_device_reaches_the_engines(dyno, monkeypatch, machine):
    asked = []
    monkeypatch.setattr(doctor_pages, "examine_engines", lambda device: asked.append(device) or iter([WORKS]))
    assert dyno("doctor", "--device", "cuda:1").status == 0 and asked == ["cuda:1"]


def test_without_a_gpu_the_reason_is_told_and_only_the_cpu_is_asked_about(dyno, monkeypatch, machine):
    asked = []
    monkeypatch.setattr(doctor_pages, "examine_engines", lambda device: asked.append(device) or iter([WORKS]))
    ended = dyno("doctor")
    assert "none: there is no NVIDIA driver here" in ended.out and asked == ["cpu"]


def test_the_first_gpu_that_answers_is_asked_about_as_well(dyno, monkeypatch, machine):
    asked = []
    states = (GpuState(index=0, reason="it fell off the bus"), GpuState(index=1), GpuState(index=2))
    monkeypatch.setattr(doctor_pages, "gpu_states", lambda: Gpus(states=states))
    monkeypatch.setattr(
        doctor_pages,
        "examine_engines",
        lambda device: asked.append(device) or iter([MISSING if device == "cpu" else WORKS]),
    )
    ended = dyno("doctor")
    assert ended.status == 0 and asked == ["cpu", "cuda:1"]
    assert "Engines on cpu" in ended.out and "Engines on cuda:1" in ended.out


def test_ceilings_are_measured_only_when_asked_for(dyno, monkeypatch, machine):
    measured = []
    monkeypatch.setattr(doctor_pages, "examine_engines", lambda device: iter([WORKS]))
    monkeypatch.setattr(doctor_pages, "gpu_states", lambda: Gpus(states=(GpuState(index=0),)))
    monkeypatch.setattr(doctor_pages, "print_ceilings", measured.append)
    assert dyno("doctor").status == 0 and measured == []
    assert dyno("doctor", "--ceilings").status == 0
    assert dyno("doctor", "--ceilings", "--device", "cpu").status == 0
    assert measured == [["cpu", "cuda:0"], ["cpu"]]


def finding(error, passed):
    measured = None if error is None else 100 * (1 + error)
    return Finding(
        name="throughput", expected=100.0, measured=measured, error=error, bound=0.02, passed=passed
    )


def test_a_selftest_that_passes(dyno, monkeypatch):
    monkeypatch.setattr(doctor_pages, "run_selftest", lambda: iter([finding(0.01, True)]))
    ended = dyno("doctor", "--selftest")
    assert ended.status == 0
    assert "+1.000 %" in ended.out and "All 1 numbers are within their bounds." in ended.out


@pytest.mark.parametrize(("error", "shown"), [(999.0, "+99900.000 %"), (None, "-")])
def test_a_selftest_that_fails_is_exit_6(dyno, monkeypatch, error, shown):
    monkeypatch.setattr(doctor_pages, "run_selftest", lambda: iter([finding(error, False)]))
    ended = dyno("doctor", "--selftest")
    assert ended.status == 6 and ended.err.endswith("[selftest-failed]\n") and ended.err.count("\n") == 1
    assert shown in ended.out and "OUT OF BOUND" in ended.out
