"""The cost of the timed loop over a bare loop, per batch, on a step that does nothing."""

import statistics
import time

from record import finish, parser

from tensordyno.clock import RealClock
from tensordyno.timing.loop import run_burst
from tensordyno.timing.step import FloatArray, Step

ROUNDS = 30
BATCHES = 20_000


class EmptyStep(Step):
    """One batch of nothing."""

    def run(self) -> None:
        """Return at once."""

    def output(self) -> FloatArray:
        """There is none."""
        raise TypeError("an empty step has no output")


def bare_s(step: Step) -> float:
    """Seconds a batch of a loop without any timing inside."""
    run = step.run
    start = time.perf_counter()
    for _ in range(BATCHES):
        run()
    return (time.perf_counter() - start) / BATCHES


def timed_s(step: Step) -> float:
    """Seconds a batch of the product's loop, from its own account of start and stop."""
    laps = run_burst(step, RealClock(), duration_s=0.0, least_batches=BATCHES)
    return (laps.stop_s - laps.start_s) / len(laps.latencies_s)


def main() -> None:
    """Alternate both loops; the difference of medians is the cost."""
    arguments = parser(__doc__).parse_args()
    step = EmptyStep()
    pairs = [(bare_s(step), timed_s(step)) for _ in range(ROUNDS)]
    bare, timed = (statistics.median(side) for side in zip(*pairs, strict=True))
    finish(
        {
            "bare_loop_s": bare,
            "timed_loop_s": timed,
            "cost_of_timing_s": timed - bare,
            "goal_s": 5e-6,
            "rounds": ROUNDS,
            "batches_a_round": BATCHES,
        },
        arguments.out,
    )


if __name__ == "__main__":
    main()
