"""Features, ceilings and shares as a reader sees them."""

from dataclasses import replace

import pytest
from made_gpu_run import GpuStory, make_gpu_run

from tensordyno.analysis.peaks import peak_of
from tensordyno.analysis.scores import scores
from tensordyno.records.device import Ceiling, DevicePage
from tensordyno.report.device_text import ceilings, devices
from tensordyno.report.html_page import html_page
from tensordyno.report.markdown import markdown
from tensordyno.store.reader import read_run

H200 = "NVIDIA H200"


def with_pages(run, *pages):
    return replace(run, pages=pages)


@pytest.fixture(scope="module")
def told(gpu):
    run, rows, _ = gpu
    return {each.name: each for each in devices(run, rows)}


def test_devices_of_one_name_are_told_once(told):
    assert [name for name in told if "H200" in name] == ["4 × NVIDIA H200"]
    facts = dict(told["4 × NVIDIA H200"].facts)
    assert facts["Compute capability"] == "9.0" and facts["Power limit"] == "700 W"


def test_where_they_differ_each_is_named(gpu):
    run, rows, _ = gpu
    pages = [
        DevicePage(device="gpu0", name=H200, features={"UUID": "a", "ECC": "on"}),
        DevicePage(device="gpu1", name=H200, features={"UUID": "b", "ECC": "on", "MIG": "off"}),
    ]
    (only,) = devices(with_pages(run, *pages), rows)
    assert only.facts == (("UUID", "gpu0: a; gpu1: b"), ("ECC", "on"), ("MIG", "gpu1: off"))


def test_published_beside_measured():
    page = DevicePage(
        device="gpu0",
        name=H200,
        ceilings=(
            Ceiling(what="copy", rate=4.29e12, how="1.00 GiB, median of 50"),
            Ceiling(what="matmul", rate=686e12, precision="fp16", how="8,192 cubed, median of 50"),
            Ceiling(what="host_to_device", rate=54e9, how="256 MiB"),
        ),
    )
    rows = {row[0]: row[1:] for row in ceilings(page, peak_of(H200)).rows}
    assert rows["Matrix product, fp16"] == ("990 T op/s", "686 T op/s", "69.3 %", "8,192 cubed, median of 50")
    assert rows["Copy inside the device"] == ("4.80 TB/s", "4.29 TB/s", "89.4 %", "1.00 GiB, median of 50")
    assert rows["Host to device"] == ("–", "54.0 GB/s", "–", "256 MiB")
    assert rows["Matrix product, fp8"] == ("1,979 T op/s", "–", "–", "–")
    assert list(rows)[-2:] == ["Copy inside the device", "Host to device"]


def test_a_device_of_which_nothing_is_known_has_no_table():
    assert ceilings(DevicePage(device="cpu", name="EPYC"), None) is None
    assert ceilings(None, None) is None
    assert len(ceilings(None, peak_of("Tesla T4")).rows) == 4  # three precisions and the memory


def test_shares_are_of_the_fastest_batch_of_each_build(told):
    rows = told["4 × NVIDIA H200"].shares.rows
    assert {row[2] for row in rows} == {"256"} and len(rows) == 2 * 2 * 3
    first = rows[0]
    assert first[1] == "torch-compile fp32" and first[3:6] == ("4.09", "109", "74.5")
    assert first[6].endswith(" T op/s") and all(cell.endswith(" %") for cell in first[7:])


def test_a_long_table_says_what_it_leaves_out(tmp_path):
    models = tuple(f"network_{i:02}" for i in range(130))
    story = GpuStory(
        models=models, batches=(8,), counts=(1,), gpus=1, bursts=3, interval_s=60, out_of_memory=False
    )
    run = read_run(make_gpu_run(tmp_path / "run", story))
    table = devices(run, scores(run))[-1].shares
    assert len(table.rows) == 120 and "the first 120 of 520; all are in trials.csv" in table.caption


def test_the_notes_name_the_source_and_where_it_was_measured(told):
    source, measured = told["4 × NVIDIA H200"].notes
    assert (
        source.startswith("Published figures: NVIDIA H200")
        and measured == "Measured on gpu0 before the first trial."
    )


def test_why_nothing_was_measured(gpu):
    run, rows, _ = gpu
    page = DevicePage(device="gpu0", name="NVIDIA H300", reason="PyTorch is not installed")
    (only,) = devices(with_pages(run, page), rows)
    assert only.notes == ("gpu0 was not measured: PyTorch is not installed.",)
    assert only.ceilings is None and only.shares is None


def test_a_reason_that_is_a_sentence_keeps_its_one_full_stop(gpu):
    run, rows, _ = gpu
    page = DevicePage(device="gpu0", name="NVIDIA H300", reason="The worker died.")
    (only,) = devices(with_pages(run, page), rows)
    assert only.notes == ("gpu0 was not measured: The worker died.",)


def test_both_formats_show_them_and_a_run_without_pages_has_no_such_section(gpu, made):
    document = gpu[2]
    page, text = html_page(document, ""), markdown(document)
    for shown in ("4 × NVIDIA H200", "What the device reaches", "Published figures: NVIDIA H200"):
        assert shown in page and shown in text
    assert 'id="ceilings"' in page and "## What the devices can do" in text
    assert "What the devices can do" not in markdown(made)
    assert 'id="ceilings"' not in html_page(made, "")
