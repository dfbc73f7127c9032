"""The self-test passes on the real pipeline and fails when a number of it is broken on purpose."""

import msgspec
import pytest

from tensordyno.analysis import scores as scoring
from tensordyno.analysis import selftest as bounds
from tensordyno.errors import InstrumentError
from tensordyno.run import selftest

FAKE_ONLY = """
models: [lenet5_fashion]
precisions: [fp32]
telemetry: {sources: [], overhead: false}
verify_images: 4
accuracy_images: 4
engines: [{name: "null", options: {cost_s: 0.004, per_image_s: 0.0005}}]
batch_sizes: [1, 32]
measure: {clock: fake, min_seconds: 10}
"""


def broken_scores(change):
    """Scores as they would be if the analysis had the defect that `change` makes."""
    honest = scoring.scores
    return lambda run: tuple(change(row) for row in honest(run))


def per_step(row):
    """Throughput counted in batches: the defect of a published tool, off by the batch size."""
    return msgspec.structs.replace(row, images_per_s=row.images_per_s.scaled(1 / row.batch_size))


def milliseconds(row):
    """Latency in milliseconds under the name of seconds."""
    return msgspec.structs.replace(row, latency_p50_s=row.latency_p50_s.scaled(1000))


def test_the_pipeline_measures_known_costs_exactly():
    findings = list(selftest.run_selftest(FAKE_ONLY))
    bounds.require(findings)
    assert len([f for f in findings if "throughput, images/s" in f.name]) == 2
    assert all(f.passed for f in findings)


@pytest.mark.parametrize(("defect", "named"), [(per_step, "throughput"), (milliseconds, "latency p50")])
def test_a_defect_breaks_a_bound(monkeypatch, defect, named):
    monkeypatch.setattr(selftest, "scores", broken_scores(defect))
    findings = list(selftest.run_selftest(FAKE_ONLY))
    assert any(named in f.name and not f.passed for f in findings)
    with pytest.raises(InstrumentError) as caught:
        bounds.require(findings)
    assert caught.value.exit_code == 6 and caught.value.slug == "selftest-failed"


def test_the_full_selftest_names_known_work_of_both_kinds():
    from tensordyno.spec.yaml_file import spec_from_text

    spec = spec_from_text(selftest.SPEC, "self-test").spec
    kinds = {e.options.get("work") for product in spec.products() for e in product.engines}
    assert {"matmul", "copy"} <= kinds
