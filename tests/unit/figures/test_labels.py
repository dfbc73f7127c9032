"""Names say what differs and nothing else."""

from msgspec.structs import replace

from tensordyno.figures.labels import Labels, in_order, points


def test_a_plain_run_has_plain_names(rows):
    labels = Labels(rows)
    assert {labels.panel(s) for s in rows} == {"resnet50", "lenet5_fashion"}
    assert "openvino(hint=throughput) bf16" in {labels.series(s) for s in rows}


def test_what_varies_is_named(rows):
    one = rows[0]
    others = [
        replace(one, boundary="device"),
        replace(one, device="cuda:0", devices=2),
        replace(one, nodes=2, devices=4),
        replace(one, dataset="folder"),
        replace(one, allocator="keep", threads=1),
    ]
    everything = [one, *others]
    labels = Labels(everything)
    names = [(labels.panel(s), labels.series(s)) for s in everything]
    assert len(set(names)) == len(everything)
    assert names[0][0] == "resnet50, synthetic, host boundary, CPU"
    assert names[3][0].endswith("CPU in 4 parts, 2 nodes")
    assert names[5][1] == "torch [malloc keep, 1 thread] fp32"


def test_the_cpu_threads_of_a_gpu_s_host_name_nothing(rows):
    one = replace(rows[0], device="cuda:0", threads=32)
    labels = Labels([one, replace(one, devices=2, threads=16)])
    assert labels.engine(one) == "torch"
    assert [labels.devices(replace(one, devices=n)) for n in (1, 2)] == ["1 GPU", "2 GPUs"]


def test_devices_are_named_as_people_name_them(rows):
    cpu, first, second = (replace(rows[0], device=device) for device in ("cpu", "cuda:0", "cuda:1"))
    assert [Labels([cpu, first]).panel(s) for s in (cpu, first)] == ["resnet50, CPU", "resnet50, GPU"]
    assert [Labels([first, second]).panel(s) for s in (first, second)] == [
        "resnet50, GPU 0",
        "resnet50, GPU 1",
    ]
    both = replace(second, devices=2)
    labels = Labels([first, second, both])
    assert [labels.panel(s) for s in (first, second, both)] == [
        "resnet50, 1 GPU from 0",
        "resnet50, 1 GPU from 1",
        "resnet50, 2 GPUs from 1",
    ]


def test_order_of_first_appearance():
    assert in_order("banana") == ["b", "a", "n"]


def test_calibrations_are_named_only_where_they_differ(int8, study):
    _, scores = int8
    assert {Labels(scores).calibration(s) for s in scores} == {""}  # two networks, one calibration each
    _, scores = study
    labels = Labels(scores)
    named = [labels.series(s) for s in scores]
    assert len(set(named)) == len(scores) == 97
    assert "onnxruntime int8 (minmax, 1,250 images, 25 at a time, seed 2)" in named
    assert labels.calibration(scores[-1], besides=("method", "images", "seed")) == "25 at a time"


def test_differences_have_a_sign_and_zero_has_none():
    assert [points(x) for x in (-0.0015, 0.002, 0.0, -0.00001)] == ["−0.15", "+0.20", "0.00", "0.00"]
