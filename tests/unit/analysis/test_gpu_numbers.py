"""CUDA's numbers and NVML's: what can be told apart, and what is refused."""

import pytest

from tensordyno.analysis.gpu_numbers import gpu_labels, gpus_of
from tensordyno.records.build import ProcessFacts, Receipt
from tensordyno.records.outcome import RankFacts
from tensordyno.records.reading import DeviceFacts

from .builders import outcome, trial

ALIKE = {f"gpu{i}": {"name": "NVIDIA H200", "uuid": f"GPU-{i}abc-{i}"} for i in range(4)}
MIXED = {"gpu0": {"name": "Tesla T4", "uuid": "GPU-t4"}, "gpu1": {"name": "NVIDIA H200", "uuid": "GPU-h"}}


def ran(device="cuda:0", devices=1, nodes=1, name="NVIDIA H200", ranks=(), **environment):
    facts = ProcessFacts(pid=1, python="3", affinity=(), threads=1, allocator="", environment=environment)
    receipt = Receipt(engine="torch", version="2", device=name)
    asked = trial(device=device, devices=devices, nodes=nodes)
    return outcome(asked, process=facts, receipt=receipt, ranks=ranks)


@pytest.mark.parametrize(
    ("fields", "labels", "names"),
    [
        ({}, ALIKE, ("gpu0",)),
        ({"device": "cuda"}, ALIKE, ("gpu0",)),
        ({"device": "cuda:1", "devices": 3}, ALIKE, ("gpu1", "gpu2", "gpu3")),
        ({"device": "cuda:2"}, {}, ("gpu2",)),
        ({"device": "cuda:1", "CUDA_VISIBLE_DEVICES": "3,2"}, ALIKE, ("gpu2",)),
        ({"devices": 2, "CUDA_VISIBLE_DEVICES": "GPU-3abc, GPU-1"}, ALIKE, ("gpu3", "gpu1")),
        ({"CUDA_VISIBLE_DEVICES": "GPU-h"}, MIXED, ("gpu1",)),
        ({"device": "cuda:1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, MIXED, ("gpu1",)),
    ],
)
def test_gpus_that_are_known(fields, labels, names):
    assert gpus_of(ran(**fields), labels) == (names, "")


@pytest.mark.parametrize(
    ("fields", "labels", "reason"),
    [
        ({}, MIXED, "CUDA's number of cuda:0 need not be NVML's"),
        ({"CUDA_VISIBLE_DEVICES": ""}, ALIKE, "CUDA_VISIBLE_DEVICES= does not say which GPU cuda:0 is"),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, ALIKE, "does not say"),
        ({"device": "cuda:1", "CUDA_VISIBLE_DEVICES": "3"}, ALIKE, "does not say which GPU cuda:1 is"),
        ({"CUDA_VISIBLE_DEVICES": "GPU-"}, ALIKE, "does not say"),
        ({"CUDA_VISIBLE_DEVICES": "MIG-GPU-0abc-0/1/0"}, ALIKE, "does not say"),
        ({"name": "NVIDIA H200 MIG 1g.18gb"}, ALIKE, "slice of a GPU"),
        (
            {"devices": 2, "ranks": (RankFacts(index=1, device="cuda:1", name="H200 MIG 2g", pid=1),)},
            ALIKE,
            "slice",
        ),
        ({"nodes": 2}, ALIKE, "other nodes"),
    ],
)
def test_gpus_that_cannot_be_told(fields, labels, reason):
    names, why = gpus_of(ran(**fields), labels)
    assert names == ()
    assert reason in why


def test_no_process_facts_means_no_variables():
    assert gpus_of(outcome(trial(device="cuda:1"), process=None), ALIKE) == (("gpu1",), "")


def test_labels_are_those_of_gpus():
    devices = [DeviceFacts(source="nvml", device="gpu0", labels={"name": "T4"})]
    assert gpu_labels([*devices, DeviceFacts(source="disk", device="sda")]) == {"gpu0": {"name": "T4"}}
