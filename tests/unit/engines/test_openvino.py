import subprocess
import sys

import numpy as np
import pytest

from tensordyno.errors import Unsupported
from tensordyno.quantize.base import Form
from tensordyno.vocabulary import Boundary, Precision

ov = pytest.importorskip("openvino")


@pytest.fixture
def images(tiny):
    with np.load(tiny.reference) as stored:
        return stored["images"][:2]


def compiled(engine, tiny, images):
    engine.receipt()
    engine.load(tiny)
    engine.compile(images)
    return engine


def test_float32_is_asked_for_and_run(make_engine, tiny, images):
    engine = compiled(make_engine("openvino"), tiny, images)
    assert engine.arithmetic() == {"fp32": 3}
    assert engine.choices()["requests in flight"] == "1"


def test_a_q_dq_network_runs_in_int8_and_the_rest_of_it_in_float32(make_engine, tiny_qdq, images):
    engine = compiled(make_engine("openvino", Precision.INT8), tiny_qdq(Form.RECTIFIED), images)
    assert engine.arithmetic() == {"int8": 3}
    assert engine._compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"


def test_a_format_this_cpu_lacks_is_refused(make_engine):
    can = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if "FP16" in can:
        pytest.skip("this CPU computes in fp16")
    with pytest.raises(Unsupported, match="no fp16 kernels for this CPU"):
        make_engine("openvino", Precision.FP16).receipt()


def test_a_plug_in_that_runs_another_format_is_caught(make_engine, tiny, images, monkeypatch):
    engine = make_engine("openvino", Precision.BF16)
    engine.receipt()
    engine.load(tiny)
    properties = engine._properties() | {"INFERENCE_PRECISION_HINT": "f32"}
    monkeypatch.setattr(engine, "_properties", lambda: properties)
    with pytest.raises(Unsupported, match="asked for bf16 and would compute in f32"):
        engine.compile(images)


@pytest.mark.parametrize("boundary", Boundary)
def test_streams_bring_as_many_requests(make_engine, tiny, images, boundary):
    engine = compiled(make_engine("openvino", hint="throughput", streams=2), tiny, images)
    step = engine.bind(images, boundary)
    assert engine.choices()["streams"] == "2"
    assert step.depth == int(engine.choices()["requests in flight"]) == 2


def test_requests_in_flight_are_limited_by_their_number(make_engine, tiny, images):
    step = compiled(make_engine("openvino", streams=2), tiny, images).bind(images, Boundary.HOST)
    flying = [step.start() for _ in range(step.depth)]
    with pytest.raises(IndexError):
        step.start()
    for handle in flying:
        step.finish(handle)


def test_no_model_cache_is_written(make_engine, tiny, images, tmp_path):
    compiled(make_engine("openvino"), tiny, images)
    assert not list(tmp_path.rglob("*.blob"))


def test_importing_it_sends_no_usage_report():
    code = (
        "import sys; from tensordyno.engines.openvino import OpenVino;"
        "from tensordyno.engines.base import EngineSetup; from tensordyno.clock import RealClock;"
        "from pathlib import Path; from tensordyno.vocabulary import Precision;"
        "setup = EngineSetup(precision=Precision.FP32, batch_size=1, device='cpu', threads=1, seed=0,"
        " clock=RealClock(), cache=Path('.'));"
        "OpenVino(setup, OpenVino.Options()).receipt();"
        "print([m for m in sys.modules if m.startswith('openvino_telemetry') and sys.modules[m]])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
