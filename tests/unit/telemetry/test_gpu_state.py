import os
from types import SimpleNamespace

import pynvml
import pytest
from fake_nvml import H200, FakeNvml, lacking

from tensordyno.telemetry import nvml_library
from tensordyno.telemetry.gpu_state import ComputeMode, GpuState, GpuUser, gpu_states, in_use


def process(pid, memory):
    return SimpleNamespace(pid=pid, usedGpuMemory=memory)


def only(*changes, **answers):
    """The state of an H200 with these answers in place of its own."""
    found = gpu_states(FakeNvml({**H200, **answers}, *changes))
    assert found.reason == ""
    return found.states[0]


def test_a_free_gpu_and_its_driver():
    library = FakeNvml(H200, {**H200, "nvmlDeviceGetName": b"Tesla T4"})
    found = gpu_states(library)
    assert (found.driver, found.cuda, found.reason) == ("580.159.04", (13, 0), "")
    assert found.states[0] == GpuState(
        index=0, name="NVIDIA H200", uuid=H200["nvmlDeviceGetUUID"], utilisation=100.0
    )
    assert [(state.index, state.name) for state in found.states] == [(0, "NVIDIA H200"), (1, "Tesla T4")]
    assert library.users == 0


def test_minor_versions_of_cuda():
    assert gpu_states(FakeNvml(H200, cuda=11040)).cuda == (11, 4)


def test_an_old_driver_tells_its_cuda_version_another_way():
    class Old(FakeNvml):
        def nvmlSystemGetCudaDriverVersion_v2(self):
            raise pynvml.NVMLError_FunctionNotFound()

        def nvmlSystemGetCudaDriverVersion(self):
            return 10020

    assert gpu_states(Old(H200)).cuda == (10, 2)


def test_mig_slices_are_counted():
    slices = {place: pynvml.NVMLError_NotFound() for place in range(7)} | {0: "slice", 3: "slice"}

    class Sliced(FakeNvml):
        def nvmlDeviceGetMigDeviceHandleByIndex(self, gpu, place):
            if isinstance(slices[place], Exception):
                raise slices[place]
            return slices[place]

    gpu = {**H200, "nvmlDeviceGetMigMode": [1, 1], "nvmlDeviceGetMaxMigDeviceCount": 7}
    (state,) = gpu_states(Sliced(gpu)).states
    assert state.mig and state.mig_instances == 2


def test_a_gpu_that_knows_nothing_of_all_this_is_whole_and_free():
    old = lacking(
        "nvmlDeviceGetMigMode",
        "nvmlDeviceGetComputeMode",
        "nvmlDeviceGetComputeRunningProcesses",
        "nvmlDeviceGetUtilizationRates",
        "nvmlDeviceGetUUID",
    )
    assert gpu_states(FakeNvml(old)).states == (GpuState(index=0, name="NVIDIA H200"),)


@pytest.mark.parametrize(
    ("number", "mode"),
    [(0, ComputeMode.DEFAULT), (2, ComputeMode.PROHIBITED), (3, ComputeMode.EXCLUSIVE)],
)
def test_compute_modes(number, mode):
    assert only(nvmlDeviceGetComputeMode=number).compute_mode is mode


def test_other_processes_with_their_memory_and_not_our_own():
    seen = [process(4242, 2 * 2**30), process(os.getpid(), 1), process(7, None)]
    state = only(nvmlDeviceGetComputeRunningProcesses=seen)
    assert state.users == (GpuUser(4242, 2 * 2**30), GpuUser(7, None))


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (GpuState(index=0, utilisation=3.0), ""),
        (GpuState(index=0), ""),
        (
            GpuState(index=1, name="NVIDIA H200", users=(GpuUser(4242, 2 * 2**30),)),
            "gpu1 (NVIDIA H200) is in use by another process (pid 4242, 2.00 GiB)",
        ),
        (
            GpuState(index=0, users=(GpuUser(1, None), GpuUser(2, 2**20))),
            "gpu0 (NVIDIA GPU) is in use by 2 other processes (pid 1, pid 2, 1.00 MiB)",
        ),
        (
            GpuState(index=0, utilisation=87.0),
            "gpu0 (NVIDIA GPU) is 87 % busy, and the driver does not show by whom",
        ),
    ],
)
def test_who_else_uses_a_gpu(state, says):
    assert in_use(state) == says


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (pynvml.NVMLError_LibraryNotFound(), "there is no NVIDIA driver here"),
        (pynvml.NVMLError_DriverNotLoaded(), "not loaded; as administrator, type: modprobe nvidia"),
        (pynvml.NVMLError_LibRmVersionMismatch(), "kernel module is still the old one; restart the machine"),
        (pynvml.NVMLError_NoPermission(), "this user may not open /dev/nvidia*"),
        (pynvml.NVMLError_Unknown(), "no NVIDIA driver answers: Unknown Error"),
    ],
)
def test_why_no_driver_answers_is_one_line(error, says):
    found = gpu_states(FakeNvml(driver_error=error))
    assert says in found.reason and "\n" not in found.reason
    assert found.states == ()


def test_a_driver_that_stops_answering_is_a_reason_too():
    class Broken(FakeNvml):
        def nvmlDeviceGetCount(self):
            raise pynvml.NVMLError_Timeout()

    library = Broken(H200)
    assert gpu_states(library).reason == "no NVIDIA driver answers: Timeout"
    assert library.users == 0


def test_a_missing_binding_says_what_to_type(monkeypatch):
    def missing(name):
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(nvml_library.importlib, "import_module", missing)
    assert gpu_states().reason.endswith("(type: pip install nvidia-ml-py)")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (pynvml.NVMLError_GpuIsLost(), "it fell off the bus; restart the machine"),
        (pynvml.NVMLError_NoPermission(), "this user may not use it"),
        (pynvml.NVMLError_ResetRequired(), "nvidia-smi --gpu-reset"),
        (pynvml.NVMLError_Timeout(), "the driver says: Timeout"),
    ],
)
def test_one_gpu_that_cannot_be_used_leaves_the_others(error, says):
    class Partly(FakeNvml):
        def nvmlDeviceGetHandleByIndex(self, index):
            if index == 0:
                raise error
            return index

    first, second = gpu_states(Partly(H200, H200)).states
    assert says in first.reason and first.index == 0
    assert second.reason == "" and second.name == "NVIDIA H200"
