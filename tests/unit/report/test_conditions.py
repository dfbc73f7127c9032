"""The environment tables."""

from dataclasses import replace as changed

from msgspec.structs import replace

from tensordyno.report.conditions import conditions, machine_line


def facts(run, heading):
    return dict(next(g for g in conditions(run) if g.heading == heading).facts)


def test_machine_first_then_engines_then_sensors(run):
    assert [g.heading for g in conditions(run)] == [
        "Machine", "onnxruntime", "openvino", "openvino(hint=throughput)", "torch",
        "torch-compile", "Sensors",
    ]  # fmt: skip


def test_what_the_system_does_not_tell_is_said_so(run):
    machine = facts(run, "Machine")
    assert machine["Frequency governor"] == "not told by the system"
    assert machine["Memory"] == "24.0 GiB" and "GPUs" not in machine and "Memory limit" not in machine


def test_values_that_differ_between_trials_are_all_listed(run):
    assert facts(run, "openvino")["INFERENCE_PRECISION_HINT"] == "bf16; fp32"
    assert facts(run, "torch")["Allocator"] == "default"
    assert facts(run, "torch")["Affinity"] == "CPUs 0-1"
    assert facts(run, "torch")["Environment"] == "OMP_NUM_THREADS=2"


def test_worker_threads_are_shown_where_they_differ_from_the_engines(run):
    assert "Worker threads" not in facts(run, "torch")
    outcomes = tuple(
        replace(o, process=replace(o.process, threads=1)) if o.trial.engine.name == "torch" else o
        for o in run.outcomes
    )
    assert facts(changed(run, outcomes=outcomes), "torch")["Worker threads"] == "1"


def test_missing_sensors_give_their_reasons(run):
    sensors = facts(run, "Sensors")
    assert sensors["Read"] == "cpu, memory"
    assert sensors["nvml"] == "unavailable: no NVIDIA driver on this machine"
    assert sensors["Sampling"].startswith("every 100 ms, ")


def test_one_line_for_the_machine(run):
    machine = run.header.machine
    assert machine_line(machine) == "AMD EPYC 9V45, 2 logical CPUs, 24.0 GiB"
    assert machine_line(replace(machine, cores=1, gpus=("NVIDIA H200",), memory_bytes=0)) == (
        "AMD EPYC 9V45, 1 logical CPU, NVIDIA H200"
    )
