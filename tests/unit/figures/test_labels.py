"""Names say what differs and nothing else."""

from msgspec.structs import replace

from tensordyno.figures.labels import Labels, in_order


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
    assert names[0][0] == "resnet50, synthetic, host boundary, 1 x cpu"
    assert names[3][0].endswith("4 x cpu, 2 nodes")
    assert names[5][1] == "torch [malloc keep, 1 threads] fp32"


def test_order_of_first_appearance():
    assert in_order("banana") == ["b", "a", "n"]
