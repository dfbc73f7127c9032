"""NVML as a driver would answer it, without a driver: constants, errors and structures are the real ones."""

from types import SimpleNamespace

import pynvml

H200 = {
    "nvmlDeviceGetName": "NVIDIA H200",
    "nvmlDeviceGetUUID": "GPU-00000000-0000-0000-0000-000000000000",
    "nvmlDeviceGetPciInfo": SimpleNamespace(busId="00000000:00:06.0"),
    "nvmlDeviceGetPerformanceState": 0,
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=100, memory=25),
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=150754820096, free=147800064000, used=2309816320),
    "nvmlDeviceGetTemperature": 57,
    "nvmlDeviceGetMaxPcieLinkGeneration": 5,
    "nvmlDeviceGetMaxPcieLinkWidth": 16,
    "nvmlDeviceGetCurrPcieLinkGeneration": 5,
    "nvmlDeviceGetCurrPcieLinkWidth": 16,
    "nvmlDeviceGetClockInfo": {pynvml.NVML_CLOCK_SM: 1500, pynvml.NVML_CLOCK_MEM: 3201},
    "nvmlDeviceGetCurrentClocksThrottleReasons": 4,
    "nvmlDeviceGetPowerUsage": 690997,
    "nvmlDeviceGetEnforcedPowerLimit": 700000,
    "nvmlDeviceGetComputeRunningProcesses": [],
    "nvmlDeviceGetTotalEnergyConsumption": 3977634,
    "nvmlDeviceGetCudaComputeCapability": (9, 0),
    "nvmlDeviceGetNumGpuCores": 16896,
    "nvmlDeviceGetMaxClockInfo": {pynvml.NVML_CLOCK_SM: 1980, pynvml.NVML_CLOCK_MEM: 3201},
    "nvmlDeviceGetMemoryBusWidth": 6144,
    "nvmlDeviceGetEccMode": [1, 1],
    "nvmlDeviceGetPowerManagementDefaultLimit": 700000,
    "nvmlDeviceGetPowerManagementLimitConstraints": [200000, 700000],
    "nvmlDeviceGetMigMode": [0, 0],
    "nvmlDeviceGetComputeMode": pynvml.NVML_COMPUTEMODE_DEFAULT,
    "nvmlDeviceGetPersistenceMode": 1,
    "nvmlDeviceGetVbiosVersion": b"96.00.C9.00.01",
    "nvmlDeviceGetNumaNodeId": 1,
    "nvmlDeviceGetCpuAffinity": [0xFF00, 0x3],
    "nvmlDeviceGetPcieThroughput": {pynvml.NVML_PCIE_UTIL_TX_BYTES: 789, pynvml.NVML_PCIE_UTIL_RX_BYTES: 665},
    pynvml.NVML_FI_DEV_POWER_INSTANT: 724600,
    pynvml.NVML_FI_DEV_POWER_AVERAGE: 690997,
}


def lacking(*answers):
    """An H200 whose driver does not know some of the answers."""
    return {key: answer for key, answer in H200.items() if key not in answers}


class FakeNvml:
    """Stands in for the module `pynvml`. `gpus` are dicts from function or field to the answer.

    An answer that is an exception is raised; one that is missing is 'not supported'.
    """

    def __init__(self, *gpus, driver_error=None, cuda=13000):
        self.gpus = gpus
        self.cuda = cuda
        self.driver_error = driver_error
        self.users = 0  # nvmlInit less nvmlShutdown
        self.calls = []

    def __getattr__(self, name):
        if name.startswith("nvmlDeviceGet"):
            return lambda gpu, *arguments, **options: self._answer(gpu, name, arguments)
        return getattr(pynvml, name)

    def nvmlInit(self):
        if self.driver_error is not None:
            raise self.driver_error
        self.users += 1

    def nvmlShutdown(self):
        self.users -= 1

    def nvmlSystemGetDriverVersion(self):
        return b"580.159.04"  # as old bindings give strings

    def nvmlSystemGetCudaDriverVersion_v2(self):
        return self.cuda

    def nvmlDeviceGetCount(self):
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetFieldValues(self, gpu, fields):
        return [self._field(gpu, field) for field in fields]

    def _field(self, gpu, field):
        answer = pynvml.c_nvmlFieldValue_t(fieldId=field, valueType=pynvml.NVML_VALUE_TYPE_UNSIGNED_INT)
        if field not in self.gpus[gpu]:
            answer.nvmlReturn = pynvml.NVML_ERROR_NOT_SUPPORTED
        else:
            answer.value.uiVal = self.gpus[gpu][field]
        return answer

    def _answer(self, gpu, name, arguments):
        self.calls.append(name)
        if name not in self.gpus[gpu]:
            raise pynvml.NVMLError_NotSupported()
        answer = self.gpus[gpu][name]
        if isinstance(answer, Exception):
            raise answer
        return answer[arguments[0]] if isinstance(answer, dict) else answer
