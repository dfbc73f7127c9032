"""A wrong answer, a wrong label and a wrong order are each caught; honest rounding passes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.analysis.verification import (
    BANDS,
    answers_of,
    count_correct,
    sqnr_db,
    verify,
    worst_repeats,
    wrong_arithmetic,
)
from tensordyno.vocabulary import Precision

SIGNIFICANT_BITS = {
    Precision.BF16: 8,
    Precision.FP16: 11,
    Precision.TF32: 11,
    Precision.FP32: 24,
    Precision.FP8: 4,
}
LAYERS = 12


def rounded(values, bits):
    fraction, exponent = np.frexp(values)
    return np.ldexp(np.rint(fraction * 2.0**bits) / 2.0**bits, exponent)


def network(bits=None, images=32, layers=LAYERS, seed=0):
    """Logits of a small network of random layers whose operands are rounded to `bits` before each product."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((images, 256))
    for layer in range(layers):
        weights = rng.standard_normal((256, 10 if layer == layers - 1 else 256)) * np.sqrt(2 / 256)
        if bits:
            x, weights = rounded(x, bits), rounded(weights, bits)
        x = x @ weights
        x = np.maximum(x, 0) if layer < layers - 1 else x
    return x.astype(np.float32)


REFERENCE = network()


def with_noise(level_db, seed=1):
    noise = np.random.default_rng(seed).standard_normal(REFERENCE.shape)
    noise *= np.linalg.norm(REFERENCE) / np.linalg.norm(noise) * 10 ** (-level_db / 20)
    return REFERENCE.astype(float) + noise


@pytest.mark.parametrize(("precision", "bits"), SIGNIFICANT_BITS.items())
@pytest.mark.parametrize("layers", [1, LAYERS, 40])
def test_honest_rounding_passes(precision, bits, layers):
    found = verify(network(bits, layers=layers), network(layers=layers), precision, trained=False)
    assert found.passed, found.reason


def test_one_rounding_costs_what_theory_says():
    """6.02 p + 7.4 dB, the figure that the bands are built on, over mantissas spread evenly in log."""
    values = 2 ** np.random.default_rng(0).uniform(0, 1, (1, 200_000))
    for bits in (4, 8, 11):
        relative_error = rounded(values, bits) / values - 1
        assert -10 * np.log10(np.mean(relative_error**2)) == pytest.approx(6.02 * bits + 7.43, abs=0.2)


@pytest.mark.parametrize(
    ("label", "truly"),
    [
        (Precision.FP32, Precision.TF32),
        (Precision.FP32, Precision.BF16),
        (Precision.FP32, Precision.FP16),
        (Precision.BF16, Precision.FP32),
        (Precision.FP16, Precision.FP32),
        (Precision.TF32, Precision.FP32),
        (Precision.INT8, Precision.FP32),
        (Precision.INT8, Precision.TF32),
        (Precision.FP8, Precision.TF32),
    ],
)
def test_a_false_label_is_refused(label, truly):
    found = verify(network(SIGNIFICANT_BITS[truly]), REFERENCE, label, trained=False)
    assert not found.passed
    assert "dB" in found.reason


@pytest.mark.parametrize("precision", [p for p in Precision if p is not Precision.FP32])
def test_bit_identical_is_fp32_whatever_the_label(precision):
    found = verify(REFERENCE, REFERENCE, precision, trained=False)
    assert found.sqnr_db is None
    assert not found.passed
    assert "Bit-identical" in found.reason
    assert verify(REFERENCE, REFERENCE, Precision.FP32, trained=True).passed


@pytest.mark.parametrize("precision", list(Precision))
def test_both_ends_of_each_band(precision):
    band = BANDS[precision]
    assert not verify(with_noise(band.least_db - 1), REFERENCE, precision, trained=False).passed
    assert verify(with_noise(band.least_db + 1), REFERENCE, precision, trained=False).passed
    if band.most_db:
        assert verify(with_noise(band.most_db - 1), REFERENCE, precision, trained=False).passed
        assert not verify(with_noise(band.most_db + 1), REFERENCE, precision, trained=False).passed


def test_the_numbers_are_what_they_are_called():
    reference = np.array([[3.0, 4.0], [0.0, 2.0]])
    outputs = np.array([[3.0, 4.1], [0.0, 1.8]])
    found = verify(outputs, reference, Precision.INT8, trained=True)
    assert found.images == 2
    assert found.sqnr_db == pytest.approx(10 * np.log10(29 / 0.05))
    assert found.max_abs_error == pytest.approx(0.2)
    assert found.top1_agreement == 1
    assert found.cosine == pytest.approx((25.4 / (5 * np.hypot(3, 4.1)) + 1) / 2)
    assert found.passed


@given(st.floats(5, 120), st.floats(1e-3, 1e3))
def test_scale_does_not_matter_to_sqnr(level_db, scale):
    outputs = with_noise(level_db)
    assert sqnr_db(outputs, REFERENCE.astype(float)) == pytest.approx(level_db, abs=1e-6)
    assert sqnr_db(outputs * scale, REFERENCE.astype(float) * scale) == pytest.approx(level_db, abs=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_output_fails(bad):
    outputs = REFERENCE.copy()
    outputs[3, 5] = bad
    found = verify(outputs, REFERENCE, Precision.FP32, trained=False)
    assert not found.passed
    assert found.reason == "1 of 320 outputs are NaN or infinite."
    assert np.isfinite(found.max_abs_error)


def test_a_wrong_shape_fails():
    found = verify(REFERENCE[:, :9], REFERENCE, Precision.FP32, trained=False)
    assert not found.passed
    assert "(32, 9)" in found.reason


@pytest.mark.parametrize("precision", list(Precision))
def test_constant_outputs_fail_even_where_all_images_look_alike(precision):
    alike = 100 + 0.1 * REFERENCE
    constant = np.repeat(alike.mean(axis=0, keepdims=True), len(alike), axis=0)
    found = verify(constant, alike, precision, trained=False)
    assert not found.passed
    assert found.reason == "The outputs hardly depend on the input."


def test_answers_to_other_images_fail_even_where_all_images_look_alike():
    alike = 100 + 0.1 * REFERENCE
    swapped = alike[[1, 0, *range(2, 32)]]
    found = verify(swapped, alike, Precision.BF16, trained=False)
    assert found.sqnr_db > BANDS[Precision.BF16].least_db
    assert found.reason == "The outputs belong to other images of the batch."


def test_noise_larger_than_the_differences_between_images_is_no_mistake_of_its_own():
    """Random weights give nearly the same logits for every image; bf16 may not tell them apart."""
    alike = 100 + 0.01 * REFERENCE
    noisy = alike * (1 + 0.002 * np.random.default_rng(2).standard_normal(alike.shape))
    found = verify(noisy, alike, Precision.BF16, trained=False)
    assert found.passed, found.reason


def test_agreement_counts_only_for_trained_weights():
    reference = REFERENCE.astype(float)
    reference[:, 1] = np.abs(reference).max(axis=1)
    reference[:, 0] = reference[:, 1] + 0.001
    outputs = reference.copy()
    outputs[:10, :2] = reference[:10, 1::-1]  # the two first classes of ten images change places
    outputs += 0.05 * np.random.default_rng(0).standard_normal((32, 1))
    random = verify(outputs, reference, Precision.INT8, trained=False)
    assert random.top1_agreement == 22 / 32
    assert random.passed
    trained = verify(outputs, reference, Precision.INT8, trained=True)
    assert not trained.passed
    assert trained.reason == "Top-1 agrees with FP32 on 68.8% of the images, 80% needed."


@pytest.mark.parametrize(
    "reference", [np.zeros((2, 3)), np.empty((0, 3)), np.array([[np.nan, 1.0]]), np.ones(3)]
)
def test_a_useless_reference_is_an_error(reference):
    with pytest.raises(ValueError, match="reference"):
        verify(reference, reference, Precision.FP32, trained=False)


def correct(logits, labels, k):
    return count_correct(answers_of(logits, labels), k)


def test_answers_are_label_first_class_and_rank():
    logits = np.array([[0.1, 0.9, 0.5], [0.8, 0.1, 0.3], [0.2, 0.3, 0.1]])
    answers = answers_of(logits, np.array([1, 2, 2]))
    assert answers.dtype == np.int32
    assert answers.tolist() == [[1, 1, 0], [2, 0, 1], [2, 1, 2]]
    assert [count_correct(answers, k) for k in (1, 2, 3, 5)] == [1, 2, 3, 3]


def test_ties_go_to_the_lower_class():
    constant = np.zeros((10, 10))
    labels = np.arange(10)
    assert correct(constant, labels, 1) == 1
    assert correct(constant, labels, 5) == 5
    assert answers_of(constant, labels)[:, 1].tolist() == [0] * 10


def test_nan_is_never_right():
    logits = np.array([[np.nan, 0.0], [np.nan, 0.0]])
    labels = np.array([0, 1])
    assert correct(logits, labels, 1) == 0
    assert correct(logits, labels, 2) == 1
    assert answers_of(logits, labels).tolist() == [[0, 0, 2], [1, 0, 1]]


@given(st.integers(0, 1000), st.integers(1, 12))
def test_right_answers_agree_with_a_stable_sort(seed, k):
    rng = np.random.default_rng(seed)
    logits = rng.integers(0, 4, (20, 10)).astype(np.float32)
    labels = rng.integers(0, 10, 20)
    order = np.argsort(-logits, axis=1, kind="stable")
    assert correct(logits, labels, k) == (order[:, :k] == labels[:, None]).any(axis=1).sum()
    np.testing.assert_array_equal(answers_of(logits, labels)[:, 1], order[:, 0])


@pytest.mark.parametrize(("labels", "says"), [([0], "labels"), ([0, 3], "outside"), ([-1, 0], "outside")])
def test_answers_refuse_nonsense(labels, says):
    with pytest.raises(ValueError, match=says):
        answers_of(np.zeros((2, 3)), np.array(labels))


def test_no_answer_is_among_the_first_none():
    with pytest.raises(ValueError, match="top-0"):
        count_correct(np.zeros((2, 3), np.int32), 0)


def test_a_reference_of_the_same_rounding_may_be_met_exactly():
    assert not verify(REFERENCE, REFERENCE, Precision.INT8, trained=False).passed
    found = verify(REFERENCE, REFERENCE, Precision.INT8, trained=False, same_rounding=True)
    assert found.passed and found.sqnr_db is None
    wrong = verify(with_noise(5), REFERENCE, Precision.INT8, trained=False, same_rounding=True)
    assert not wrong.passed and "must reach" in wrong.reason


@pytest.mark.parametrize(
    ("layers", "planned", "says"),
    [
        ({"int8": 10, "fp32": 0}, 10, ""),
        ({"int8": 8, "fp32": 2}, 10, ""),
        ({}, 10, ""),  # an engine that cannot count
        ({"int8": 7, "fp32": 3}, 10, "7 of 10 INT8 layers run in INT8 (3 in fp32)."),
        ({"fp32": 10}, 10, "0 of 10 INT8 layers run in INT8 (10 in fp32)."),
        ({"int8": 1, "fp32": 9}, 1, ""),  # the others were to stay in FP32
        ({"int8": 0, "fp32": 3}, 0, "no layer runs in INT8 (3 in fp32)."),
        ({"int8": 0}, 2, "0 of 2 INT8 layers run in INT8."),
    ],
)
def test_a_label_needs_four_in_five_of_its_layers(layers, planned, says):
    assert wrong_arithmetic(layers, planned) == says


def test_no_images_none_correct():
    assert correct(np.empty((0, 3)), np.empty(0, dtype=int), 1) == 0


@given(st.integers(1, 5), st.integers(0, 12), st.integers(0, 10_000))
def test_the_worst_answer_to_each_image_is_found(images, more, seed):
    random = np.random.default_rng(seed)
    reference = random.standard_normal((images, 3))
    outputs = np.resize(reference, (images + more, 3)) + random.standard_normal((images + more, 3))
    worst = worst_repeats(outputs, reference)
    for i in range(images):
        errors = [np.abs(row - reference[i]).max() for row in outputs[i::images]]
        assert np.abs(worst[i] - reference[i]).max() == pytest.approx(max(errors))


def test_an_answer_that_is_not_finite_is_the_worst():
    reference = np.ones((2, 3))
    outputs = np.ones((5, 3))
    outputs[3, 1], outputs[4] = np.nan, 50
    worst = worst_repeats(outputs, reference)
    assert np.isnan(worst[1, 1]) and worst[0, 0] == 50
