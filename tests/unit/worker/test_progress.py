from tensordyno.clock import FakeClock
from tensordyno.worker.progress import Spaced


def test_first_and_last_step_of_everything_are_told_and_few_between():
    told, clock = [], FakeClock()
    spaced = Spaced(told.append, clock)
    for done in range(1, 101):
        spaced("calibrating", done, 100)
        clock.sleep(0.01)
    spaced("ranking layers", 1, 9)
    steps = [(report.doing, report.done) for report in told]
    assert steps[0] == ("calibrating", 1)
    assert ("calibrating", 100) in steps and steps[-1] == ("ranking layers", 1)
    assert 5 <= len(steps) <= 9
