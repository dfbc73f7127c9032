from types import SimpleNamespace

import pynvml
import pytest
from fake_nvml import H200, FakeNvml

from tensordyno.telemetry.nvml_fields import QUESTIONS


def ask(channel, library):
    question = next(q for q in QUESTIONS if channel in [name for name, _ in q.quantities])
    return dict(zip([name for name, _ in question.quantities], question.ask(library, 0), strict=True))


def test_no_quantity_is_answered_twice():
    names = [name for question in QUESTIONS for name, _ in question.quantities]
    assert len(names) == len(set(names))


def test_memory_of_a_driver_too_old_for_version_2():
    old = SimpleNamespace(total=16, free=10, used=6)

    class Old(FakeNvml):
        def nvmlDeviceGetMemoryInfo(self, gpu, version=None):
            if version is not None:
                raise pynvml.NVMLError_FunctionNotFound()
            return old

    assert ask("memory_used", Old(H200)) == {"memory_total": 16, "memory_free": 10, "memory_used": 6}


@pytest.mark.parametrize(
    ("kind", "member", "value"),
    [
        (pynvml.NVML_VALUE_TYPE_DOUBLE, "dVal", 1500.0),
        (pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG, "ullVal", 1500),
        (pynvml.NVML_VALUE_TYPE_SIGNED_INT, "siVal", 1500),
        (pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT, "usVal", 1500),
    ],
)
def test_a_field_is_read_as_the_type_that_nvml_says_it_has(kind, member, value):
    class Typed(FakeNvml):
        def nvmlDeviceGetFieldValues(self, gpu, fields):
            answer = pynvml.c_nvmlFieldValue_t(valueType=kind)
            setattr(answer.value, member, value)
            return [answer]

    assert ask("power_instant", Typed(H200)) == {"power_instant": 1.5}


def test_a_field_that_the_gpu_lacks_raises_nvmls_own_error():
    with pytest.raises(pynvml.NVMLError_NotSupported):
        ask("power_average", FakeNvml({}))
