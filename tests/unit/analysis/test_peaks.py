import re

import pytest

from tensordyno.analysis.peaks import peak_of, peaks
from tensordyno.vocabulary import Precision

NAMES = {
    "NVIDIA H200": "H200 SXM",
    "NVIDIA H200 NVL": "H200 NVL",
    "NVIDIA H100 80GB HBM3": "H100 SXM",
    "NVIDIA H100 PCIe": "H100 PCIe",
    "NVIDIA H100 NVL": "H100 NVL",
    "NVIDIA B200": "B200",
    "NVIDIA A100-SXM4-80GB": "A100 SXM 80 GB",
    "A100-SXM4-40GB": "A100 SXM 40 GB",
    "NVIDIA A100-PCIE-40GB": "A100 PCIe 40 GB",
    "NVIDIA A100 80GB PCIe": "A100 PCIe 80 GB",
    "NVIDIA A10": "A10",
    "NVIDIA L4": "L4",
    "NVIDIA L40": "L40",
    "NVIDIA L40S": "L40S",
    "Tesla T4": "T4",
    "Tesla V100-SXM2-16GB": "V100 SXM2",
    "Tesla V100S-PCIE-32GB": "V100S",
    "Tesla P100-PCIE-16GB": "P100 PCIe 16 GB",
    "Tesla P40": "P40",
    "Tesla P4": "P4",
    "NVIDIA GeForce RTX 4090": "GeForce RTX 4090",
    "GeForce RTX 3090": "GeForce RTX 3090",
}
NOT_THE_SAME = (
    *(
        "NVIDIA H200 MIG 1g.18gb",
        "NVIDIA A10G",
        "NVIDIA GH200 480GB",
        "NVIDIA GB200",
        "NVIDIA H100 80GB HBM2e",
    ),
    *("NVIDIA GeForce RTX 4090 D", "NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA GeForce RTX 3090 Ti"),
    *("NVIDIA Tegra X1", "AMD EPYC 9V45", ""),
)


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_the_drivers_names_are_recognised(name, expected):
    assert peak_of(name).name == expected


@pytest.mark.parametrize("name", NOT_THE_SAME)
def test_relatives_with_other_figures_are_not_taken_for_them(name):
    assert peak_of(name) is None


def test_the_h200():
    h200 = peak_of("NVIDIA H200")
    assert h200.operations == pytest.approx(
        {
            "fp32": 66.9e12,
            "tf32": 494.7e12,
            "fp16": 989.5e12,
            "bf16": 989.5e12,
            "int8": 1979e12,
            "fp8": 1979e12,
        }
    )
    assert (h200.memory, h200.power_w) == (4.8e12, 700)


@pytest.mark.parametrize("peak", peaks(), ids=lambda p: p.name)
def test_every_row_is_complete_plausible_and_dense(peak):
    assert re.search(r"NVIDIA .*\((19|20)\d\d\)", peak.source)
    assert set(peak.operations) <= {p.value for p in Precision}
    assert 20e9 < peak.memory < 20e12 and 5 < peak.power_w < 2000
    known = [peak.operations[p] for p in ("fp32", "tf32", "fp16", "int8") if p in peak.operations]
    assert known == sorted(known)
    if {"fp16", "int8"} <= set(
        peak.operations
    ) and "GeForce" not in peak.name:  # sparse for dense would show here
        assert peak.operations["int8"] / peak.operations["fp16"] == pytest.approx(2, rel=0.03)


def test_one_name_means_one_device():
    patterns = [pattern for peak in peaks() for pattern in peak.names]
    assert len(patterns) == len(set(patterns))
    for name in NAMES:
        assert sum(peak_of(name) is peak for peak in peaks()) == 1
