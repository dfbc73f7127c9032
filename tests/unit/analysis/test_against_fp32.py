"""Which FP32 build a build is compared with, and what is refused."""

import numpy as np
import pytest

from tensordyno.analysis.against_fp32 import Fp32Builds, answers_of, paired_answers
from tensordyno.errors import StoreError

from .builders import answers, changed, counted, outcome, run, trial

EXACT, COARSE = answers(2000, range(100)), answers(2000, range(110))


def against(root, *outcomes, table=EXACT):
    """What the last outcome is compared with."""
    tables = {o.trial.id: table for o in outcomes[:-1]} | {outcomes[-1].trial.id: COARSE}
    return Fp32Builds(run(root, outcomes, answers=tables)).against(outcomes[-1])


def test_the_difference_to_fp32_is_paired(tmp_path):
    found = against(tmp_path, counted("exact", EXACT, "fp32"), counted("coarse", COARSE))
    assert found.trial == "exact"
    assert (found.paired.lost, found.paired.gained) == (10, 0)
    assert found.paired.difference.value == pytest.approx(-0.005)
    assert found.paired.difference.high < 0


def test_the_same_engine_goes_first_then_device_and_batch_size(tmp_path):
    other = counted("other", EXACT, "fp32", engine="openvino")
    tuned = counted("tuned", EXACT, "fp32", options={"hint": "latency"})
    large = counted("large", EXACT, "fp32", batch_size=64)
    same = counted("same", EXACT, "fp32")
    coarse = counted("coarse", COARSE)
    builds = [other, tuned, large, same]
    for left in range(4):  # the nearest is taken away, the next one takes its place
        assert against(tmp_path / str(left), *builds[: 4 - left], coarse).trial == builds[3 - left].trial.id


@pytest.mark.parametrize(
    "unlike",
    [
        {"trial": {"model": "vgg16"}},
        {"model": {"weights_hash": "other"}},
        {"accuracy": {"data_hash": "other"}},
        {"accuracy": {"data_hash": ""}},
        {"trial": {"precision": "bf16"}},
    ],
)
def test_other_networks_weights_and_images_are_no_reference(tmp_path, unlike):
    exact = counted("exact", EXACT, "fp32")
    for part, fields in unlike.items():
        exact = changed(exact, **{part: changed(getattr(exact, part), **fields)})
    assert against(tmp_path, exact, counted("coarse", COARSE)) is None


def test_another_look_at_the_images_is_another_question(tmp_path):
    exact = counted("exact", EXACT, "fp32")
    look = changed(exact.model.preprocessing, channels="bgr")
    exact = changed(exact, model=changed(exact.model, preprocessing=look))
    assert against(tmp_path, exact, counted("coarse", COARSE)) is None


def test_fp32_is_not_compared_with_itself(tmp_path):
    assert against(tmp_path, counted("a", EXACT, "fp32"), counted("b", COARSE, "fp32")) is None


def test_what_was_never_counted_has_no_answers(tmp_path):
    earlier = outcome(trial("t", precision="int8"), accuracy=None)
    stored = run(tmp_path, [earlier], answers={"t": EXACT})  # of an earlier attempt
    assert answers_of(stored, earlier).shape == (0, 3)
    assert Fp32Builds(stored).against(earlier) is None


def test_a_run_that_kept_no_answers_has_no_difference(tmp_path):
    outcomes = [counted("a", EXACT, "fp32"), counted("b", COARSE)]
    assert Fp32Builds(run(tmp_path, outcomes)).against(outcomes[1]) is None


@pytest.mark.parametrize("table", [COARSE, EXACT[:-1]])
def test_answers_that_do_not_fit_what_was_counted(tmp_path, table):
    exact = counted("exact", EXACT, "fp32")
    with pytest.raises(StoreError, match="its record counts 2000 and 1900") as caught:
        answers_of(run(tmp_path, [exact], answers={"exact": table}), exact)
    assert caught.value.slug == "broken-answers"


def test_answers_to_other_images_than_the_records_say(tmp_path):
    turned = np.ascontiguousarray(EXACT[::-1])
    exact, coarse = counted("exact", turned, "fp32"), counted("coarse", COARSE)
    stored = run(tmp_path, [exact, coarse], answers={"exact": turned, "coarse": COARSE})
    with pytest.raises(StoreError, match="not about the same images") as caught:
        paired_answers((stored, coarse), (stored, exact))
    assert caught.value.slug == "broken-answers"
