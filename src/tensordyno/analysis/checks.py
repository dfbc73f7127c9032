"""Every warning of a run, the gravest first: what a reader must know before using its numbers."""

from collections.abc import Sequence

from tensordyno.analysis import (
    accuracy_checks,
    comparison_checks,
    gpu_checks,
    run_checks,
    scaling_checks,
    trial_checks,
)
from tensordyno.analysis.caution import Check, Warning
from tensordyno.analysis.scores import Score
from tensordyno.store.reader import Run

__all__ = ["CHECKS", "Warning", "warnings"]

CHECKS: tuple[Check, ...] = (
    run_checks.unfinished,
    trial_checks.fake_clock,
    trial_checks.failed,
    trial_checks.verification_failed,
    accuracy_checks.int8_drop,
    accuracy_checks.accuracy_drop,
    comparison_checks.faster_but_unstable,
    trial_checks.unstable,
    gpu_checks.throttled,
    gpu_checks.shared,
    scaling_checks.gpu_differs,
    scaling_checks.scaling_poor,
    accuracy_checks.int8_unproved,
    accuracy_checks.calibrated_on_noise,
    accuracy_checks.few_calibration_images,
    accuracy_checks.calibration_warned,
    accuracy_checks.int8_partly,
    trial_checks.random_weights,
    trial_checks.unreadable_images,
    comparison_checks.mixed_boundaries,
    comparison_checks.threads_differ,
    gpu_checks.clock_drift,
    gpu_checks.power_capped,
    gpu_checks.energy_disagreement,
    gpu_checks.idle_moved,
    comparison_checks.baseline_missing,
    trial_checks.contended,
    trial_checks.probe_unknown,
    trial_checks.correlated_bursts,
    trial_checks.default_malloc,
    run_checks.governor,
    run_checks.virtual_machine,
    run_checks.telemetry_late,
    run_checks.telemetry_overhead,
    accuracy_checks.kept_fp32,
    trial_checks.energy_unknown,
    trial_checks.too_few_samples,
    trial_checks.refused,
    trial_checks.skipped,
)


def warnings(run: Run, scores: Sequence[Score]) -> tuple[Warning, ...]:
    """What every check found."""
    return tuple(warning for check in CHECKS for warning in check(run, scores))
