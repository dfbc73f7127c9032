"""Spec -> Plan: what will be measured here, in order, and what will not, with reasons."""

from tensordyno.plan.answerable import check_answerable
from tensordyno.plan.check import check_names
from tensordyno.plan.expand import expand
from tensordyno.plan.feasible import refusal
from tensordyno.plan.host import Host
from tensordyno.plan.identity import with_ids
from tensordyno.plan.order import into_groups
from tensordyno.records.trial import Plan, Skip
from tensordyno.spec.places import Places
from tensordyno.spec.schema import Spec


def make_plan(spec: Spec, places: Places | None = None, host: Host | None = None) -> Plan:
    """The plan of a spec on this machine; no framework is imported and no worker started.

    `places` (from `load_spec`) lets errors name file and line. A plan of nothing but skips is a plan.
    Raises SpecError for unknown names and options, DataError for files that do not exist and images
    that cannot serve (see `check_answerable`).
    """
    here = host or Host()
    check_names(spec, places or Places())
    trials = with_ids(expand(spec))
    reasons = {trial.id: refusal(trial, here) for trial in trials}
    possible = [trial for trial in trials if reasons[trial.id] is None]
    check_answerable(possible)
    skips = [Skip(trial=t, reason=reason) for t in trials if (reason := reasons[t.id]) is not None]
    return Plan(
        trials=into_groups(possible, spec.limits.max_alive, interleave=spec.interleave),
        skips=tuple(skips),
    )
