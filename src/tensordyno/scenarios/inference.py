"""Inference: the same batch again and again, from boundary to boundary."""

from tensordyno.clock import Clock, RealClock
from tensordyno.records.burst import Burst, Probe, Warmup
from tensordyno.records.messages import BurstOrder, BurstReport
from tensordyno.records.trial import Trial
from tensordyno.scenarios.base import Scenario
from tensordyno.timing.loop import Laps, run_burst
from tensordyno.timing.spin import PROBE_SECONDS, SpinProbe
from tensordyno.timing.step import Step
from tensordyno.timing.stopping import StoppingRule, WarmupRule

# On a GPU one thread feeds the device, and what the other cores do is nothing to it. The clock of a core that
# runs one thread now and then moves by a third (seen beside an H200): only a core truly shared loses more.
_GPU_PROBE_SECONDS = 0.01
_GPU_PROBE_LOSS = 0.45


class InferenceScenario(Scenario):
    """Warm up until steady, then one burst an order, each bracketed by two spin probes."""

    def __init__(self, trial: Trial, step: Step, clock: Clock, threads: int) -> None:
        self._trial = trial
        self._step = step
        self._clock = clock
        on_gpu = trial.device.startswith("cuda")
        self._probe: SpinProbe | None = None
        if isinstance(clock, RealClock):
            self._probe = SpinProbe(1, patient=False) if on_gpu else SpinProbe(threads)
        self._probe_s = _GPU_PROBE_SECONDS if on_gpu else PROBE_SECONDS
        asked = trial.measurement.max_probe_loss
        self._most_loss = max(asked, _GPU_PROBE_LOSS) if on_gpu else asked
        self._stopping = StoppingRule(trial.measurement)
        self._warmup: Warmup | None = None

    def burst(self, order: BurstOrder) -> BurstReport:
        """Measure one burst, or report at once that the cores are not free now."""
        warmed = self._warmup is None
        if self._warmup is None:
            self._warmup = self._warm_up()
        before = self._spin(order.spin_rate)
        if self._is_lost(before) and order.begin_s is None:  # other ranks wait for nobody
            now = self._clock.now()
            burst = Burst(start_s=now, stop_s=now, batches=0, images=0, before=before, contended=True)
            laps = Laps(now, now, [])
        else:
            self._lead_in(order)
            burst, laps = self._measure(order, before)
        if not burst.contended and not order.rehearsal:
            self._stopping.add(burst.images, burst.duration_s)
        return BurstReport(
            burst=burst,
            latencies_s=tuple(laps.latencies_s),
            done=self._stopping.done,
            half_width=self._stopping.half_width,
            warmup=self._warmup if warmed else None,
        )

    def close(self) -> None:
        """End the probe's threads."""
        if self._probe:
            self._probe.close()

    def _measure(self, order: BurstOrder, before: Probe | None) -> tuple[Burst, Laps]:
        duration_s = order.duration_s or self._trial.measurement.burst_seconds
        self._step.device_s()  # what ran before this burst does not count
        laps = run_burst(self._step, self._clock, duration_s)
        device_s = self._step.device_s()
        after = self._spin(order.spin_rate)
        burst = Burst(
            start_s=laps.start_s,
            stop_s=laps.stop_s,
            batches=len(laps.latencies_s),
            images=len(laps.latencies_s) * self._trial.batch_size,
            before=before,
            after=after,
            contended=self._is_lost(before) or self._is_lost(after),
            device_s=device_s,
        )
        return burst, laps

    def _lead_in(self, order: BurstOrder) -> None:
        """Wait for the moment at which all ranks begin; then run untimed for as long as the order says.

        A rank that comes too late begins at once, which its times will show.
        """
        if order.begin_s is not None:
            self._clock.sleep(max(0.0, order.begin_s - self._clock.now()))
        if order.lead_s:
            run_burst(self._step, self._clock, order.lead_s)

    def _warm_up(self) -> Warmup:
        """Windows of batches until their medians settle and the least warm-up time has passed."""
        measurement = self._trial.measurement
        rule = WarmupRule(measurement)
        start = self._clock.now()
        window_s = max(measurement.warmup_seconds / 10, 0.02)
        batches = 0
        while not rule.done:
            laps = run_burst(self._step, self._clock, window_s)
            rule.add(laps.latencies_s, laps.stop_s - laps.start_s)
            batches += len(laps.latencies_s)
        stop = self._clock.now()
        return Warmup(start_s=start, stop_s=stop, batches=batches, settled=rule.settled)

    def _spin(self, best_rate: float | None) -> Probe | None:
        return self._probe.measure(best_rate, self._probe_s) if self._probe else None

    def _is_lost(self, probe: Probe | None) -> bool:
        return probe is not None and probe.loss > self._most_loss


MEMBER = InferenceScenario
