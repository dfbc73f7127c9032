"""What differed between two runs."""

from tensordyno.analysis.environment import contrasts, differences
from tensordyno.records.calibration import LayerFacts
from tensordyno.records.device import DevicePage
from tensordyno.records.reading import DeviceFacts
from tensordyno.records.wire import encode_line

from .builders import calibrated, changed, header, outcome, run, trial


def found(root, old, new, old_head=None, new_head=None):
    before, after = run(root / "o", old, head=old_head), run(root / "n", new, head=new_head)
    return [(d.what, d.old, d.new) for d in differences(before, after)]


def test_equal_runs_do_not_differ(tmp_path):
    assert found(tmp_path, [outcome()], [outcome()]) == []


def test_machine_and_packages(tmp_path):
    old = header(machine={"governor": "powersave", "packages": {"numpy": "2.0", "gone": "1"}})
    new = header(
        version="2", machine={"governor": "performance", "gpus": ("H200",), "packages": {"numpy": "2.4"}}
    )
    assert found(tmp_path, [], [], old, new) == [
        ("governor", "powersave", "performance"),
        ("gpus", "-", "H200"),
        ("package numpy", "2.0", "2.4"),
        ("package gone", "1", "-"),
        ("tensordyno", "1", "2"),
    ]


def test_rates_and_sizes_may_wobble(tmp_path):
    old = header(machine={"spin_rate": 100.0, "memory_bytes": 1000})
    assert found(tmp_path, [], [], old, header(machine={"spin_rate": 104.0, "memory_bytes": 1009})) == []
    slower = header(machine={"spin_rate": 90.0, "memory_bytes": 900})
    assert [d[0] for d in found(tmp_path, [], [], old, slower)] == ["memory_bytes", "spin_rate"]


def test_engines_threads_and_variables(tmp_path):
    old = outcome()
    new = changed(
        old,
        receipt=changed(old.receipt, version="1.32", libraries={"onednn": "3"}),
        process=changed(old.process, threads=1, malloc_settings={"MALLOC_TRIM_THRESHOLD_": "1"}),
    )
    assert found(tmp_path, [old], [new]) == [
        ("onnxruntime: version", "1.31.1", "1.32"),
        ("onnxruntime: threads", "2", "1"),
        ("onnxruntime: onednn", "-", "3"),
        ("onnxruntime: MALLOC_TRIM_THRESHOLD_", "-", "1"),
    ]


def test_an_engine_with_two_settings_lists_both_in_any_order(tmp_path):
    one = outcome(trial("a"))
    two = outcome(trial("b"), process=changed(one.process, threads=8))
    assert found(tmp_path, [one, two], [two, one]) == []
    assert found(tmp_path, [one, two], [one]) == [("onnxruntime: threads", "2 | 8", "2")]


def test_calibrations_and_the_layers_that_ran_in_int8(tmp_path):
    def calibrated_as(arithmetic, **fields):
        one = outcome(trial(precision="int8"), calibration=calibrated(**fields))
        return changed(one, built=changed(one.built, arithmetic=arithmetic))

    kept = (LayerFacts(name="head", op="Gemm", int8=False),)
    old = calibrated_as({"int8": 4}, method="minmax")
    new = calibrated_as({"int8": 3, "fp32": 1}, images=500, seed=2, fp32_layers=kept)
    assert found(tmp_path, [old], [new]) == [
        ("resnet50: calibration method", "minmax", "entropy"),
        ("resnet50: calibration images", "1250 of fashion (d), seed 0", "500 of fashion (d), seed 2"),
        ("resnet50: layers kept in FP32", "-", "head"),
        ("onnxruntime: layers of resnet50", "4 int8", "1 fp32, 3 int8"),
    ]
    assert found(tmp_path / "same", [old], [old]) == []


def test_gpus_by_what_their_driver_tells(tmp_path):
    def page(**features):
        return DevicePage(device="gpu0", name="H200", features={"UUID": str(features), **features})

    old = run(tmp_path / "o", [], pages=(page(Driver="550", ECC="on"),))
    new = run(tmp_path / "n", [], pages=(page(Driver="580", ECC="on"), DevicePage(device="cpu", name="EPYC")))
    assert [(d.what, d.old, d.new) for d in differences(old, new)] == [("GPU Driver", "550", "580")]


def test_gpus_by_what_telemetry_saw_of_them(tmp_path):
    old, new = (run(tmp_path / name, []) for name in ("o", "n"))
    for each, driver in ((old, "550"), (new, "580")):
        labels = {"name": "H200", "driver_version": driver, "uuid": driver}
        line = encode_line(DeviceFacts(source="nvml", device="gpu0", labels=labels))
        each.folder.readings.mkdir()
        each.folder.reading_file("nvml").write_bytes(line)
    assert [(d.what, d.old, d.new) for d in differences(old, new)] == [("GPU Driver", "550", "580")]


def test_several_runs_stand_side_by_side(tmp_path):
    heads = [header(machine={"cores": cores, "kernel": "6"}) for cores in (2, 2, 4)]
    runs = [run(tmp_path / str(i), [], head=head) for i, head in enumerate(heads)]
    (found,) = contrasts(runs)
    assert (found.what, found.values, found.weighty) == ("cores", ("2", "2", "4"), False)
    assert contrasts(runs[:2]) == contrasts(runs[:1]) == ()


def test_what_only_one_run_has_is_not_told_fact_by_fact(tmp_path):
    page = DevicePage(device="gpu0", name="T4", features={"Driver": "1", "ECC": "on"})
    one, two, three = run(tmp_path / "1", []), run(tmp_path / "2", []), run(tmp_path / "3", [outcome()])
    one.pages = (page,)
    assert [(c.what, c.values) for c in contrasts([one, two])] == [("GPU name", ("T4", "-"))]
    assert contrasts([two, three]) == ()  # no engine ran in the first
    two.pages = (changed(page, features={"Driver": "2", "ECC": "on"}),)
    assert [c.what for c in contrasts([one, two, three])] == ["GPU name", "GPU Driver"]


def test_of_an_engine_only_its_version_is_weighty(tmp_path):
    old = outcome()
    new = changed(old, process=changed(old.process, affinity=(0,)), receipt=changed(old.receipt, version="2"))
    found = {c.what: c.weighty for c in contrasts([run(tmp_path / "1", [old]), run(tmp_path / "2", [new])])}
    assert found == {"onnxruntime: version": True, "onnxruntime: CPUs": False}
