import numpy as np
import pytest

from tensordyno.engines.onnx_runtime_step import DeviceStep, HostStep
from tensordyno.models.base import BATCH_AXIS

ort = pytest.importorskip("onnxruntime")


@pytest.fixture(params=["host", "device"])
def bound(request, tiny):
    """A step, and the answer that it must give."""
    options = ort.SessionOptions()
    options.add_free_dimension_override_by_name(BATCH_AXIS, 3)
    session = ort.InferenceSession(str(tiny.onnx), options, providers=["CPUExecutionProvider"])
    with np.load(tiny.reference) as stored:
        images, expected = stored["images"][:3], stored["logits"][:3]
    return HostStep(session, images) if request.param == "host" else DeviceStep(
        session, images, "cpu", 0
    ), expected


def test_one_batch_has_one_answer(bound):
    step, expected = bound
    step.run()
    np.testing.assert_allclose(step.output(), expected, atol=1e-4)
    assert step.output().dtype == np.float32 and step.depth == 1 and step.device_s() is None


def test_the_answer_is_the_caller_s_own(bound):
    step, _ = bound
    step.run()
    first = step.output()
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(step.output(), kept)
