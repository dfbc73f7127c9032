"""A tiny prepared network, and engines ready to build it."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from tensordyno.clock import Clock, RealClock
from tensordyno.engines.base import Engine, EngineSetup, engine_class
from tensordyno.vocabulary import Precision


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    tiny_network = pytest.importorskip("tiny_network", reason="needs PyTorch")
    return tiny_network.prepared_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_qdq(tiny, tmp_path_factory):
    """The same network calibrated, as a function of the form of its Q/DQ file."""
    qdq_network = pytest.importorskip("qdq_network", reason="needs ONNX Runtime")
    with np.load(tiny.reference) as stored:
        made = qdq_network.quantized(tiny, tmp_path_factory.mktemp("qdq"), stored["images"])
    return lambda form: msgspec.structs.replace(tiny, onnx=made.onnx(form))


@pytest.fixture
def make_engine(tmp_path, monkeypatch):
    """A function that makes an engine; the environment is put back afterwards."""
    for name in ("TORCHINDUCTOR_CACHE_DIR", "NVIDIA_TF32_OVERRIDE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    def make(
        name: str,
        precision: Precision = Precision.FP32,
        batch_size: int = 2,
        device: str = "cpu",
        clock: Clock | None = None,
        cache: Path = tmp_path,
        **options,
    ) -> Engine:
        member = engine_class(name)
        setup = EngineSetup(
            precision=precision,
            batch_size=batch_size,
            device=device,
            threads=2,
            seed=5,
            clock=clock or RealClock(),
            cache=cache,
        )
        return member(setup, member.Options(**options))

    return make
