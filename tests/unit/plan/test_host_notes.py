import pytest

from tensordyno.plan.host import Host
from tensordyno.plan.host_notes import notes
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.telemetry.gpu_state import ComputeMode, Gpus, GpuState, GpuUser
from tensordyno.vocabulary import Precision

BUSY = (GpuUser(4242, 2**30),)


def trial(name="a", device="cuda:0", devices=1, engine="torch", group="g"):
    choice = EngineChoice(name=engine)
    return Trial(
        id=name,
        model="resnet50",
        engine=choice,
        precision=Precision.FP32,
        batch_size=1,
        device=device,
        devices=devices,
        group=group,
    )


def host(*states, visible=None):
    return Host(gpus=lambda: Gpus(states=states), visible_devices=lambda: visible)


def test_nothing_is_asked_when_no_trial_runs_on_a_gpu():
    def never():
        raise AssertionError("asked")

    trials = [trial(device="cpu"), trial(engine="null")]
    assert notes(trials, Host(gpus=never)) == ()


@pytest.mark.parametrize(("devices", "told"), [(1, ["gpu1"]), (2, ["gpu1", "gpu2"])])
def test_the_gpus_of_the_plan_that_somebody_uses(devices, told):
    states = [GpuState(index=i, users=BUSY) for i in range(3)]
    said = notes([trial(device="cuda:1", devices=devices)], host(*states))
    assert [line.split()[0] for line in said] == told
    assert said[0] == (
        "gpu1 (NVIDIA GPU) is in use by another process (pid 4242, 1.00 GiB): both will be slower, "
        "and its energy is shared."
    )


@pytest.mark.parametrize(
    ("groups", "warned"), [(("g", "g"), True), (("g", "h"), False), (("", ""), False), (("g",), False)]
)
def test_an_exclusive_gpu_cannot_hold_builds_that_stand_beside_each_other(groups, warned):
    trials = [trial(str(i), group=group) for i, group in enumerate(groups)]
    said = notes(trials, host(GpuState(index=0, compute_mode=ComputeMode.EXCLUSIVE)))
    assert any("--set interleave=false" in line for line in said) is warned


def test_free_gpus_and_gpus_that_are_not_there_need_no_note():
    assert notes([trial(devices=4)], host(GpuState(index=0))) == ()


def test_the_note_names_the_gpu_as_the_sensors_do():
    states = [GpuState(index=0), GpuState(index=1, users=BUSY)]
    (said,) = notes([trial()], host(*states, visible="1"))
    assert said.startswith("gpu1 ")
