"""What a network answered to each image, through a network whose answers are known."""

import numpy as np
from fake_worker import trial
from msgspec.structs import replace

from tensordyno.clock import FakeClock
from tensordyno.records.model import ModelFacts, Preprocessing
from tensordyno.vocabulary import WeightsKind
from tensordyno.worker.right_answers import right_answers

CLASSES = 6
FACTS = ModelFacts(
    name="m",
    input_shape=(1, 2, 2),
    classes=CLASSES,
    parameters=1,
    macs=1,
    weights=WeightsKind.CHECKPOINT,
    weights_hash="h",
    preprocessing=Preprocessing(mean=(0.0,), std=(1.0,), channels="grey"),
)


class Brightest:
    """An engine that takes an image's grey value for its class, and prefers higher classes after it."""

    class setup:
        batch_size = 4

    def answer(self, images):
        grey = np.rint(images[:, 0, 0, 0] * 255).astype(int)
        return (np.arange(CLASSES) / 10 + np.eye(CLASSES)[grey]).astype(np.float32)


def saved(path, labels):
    pixels = np.repeat(np.array([0, 1, 2, 3, 4, 5, 0], np.uint8), 4).reshape(7, 2, 2)
    np.savez(path, images=pixels, **({} if labels is None else {"labels": labels}))
    return replace(trial(), dataset=str(path), batch_size=4, accuracy_images=100)


def ask(asked):
    return right_answers(Brightest(), asked, FACTS, FakeClock(), lambda report: None)


def test_rows_and_counts_are_of_the_same_answers(tmp_path):
    asked = saved(tmp_path / "a.npz", np.array([0, 1, 2, 3, 5, 4, 1]))
    accuracy, answers = ask(asked)
    assert answers.dtype == np.int32
    expected = [[0, 0, 0], [1, 1, 0], [2, 2, 0], [3, 3, 0], [5, 4, 1], [4, 5, 1], [1, 0, 5]]
    assert answers.tolist() == expected
    assert (accuracy.images, accuracy.top1_correct, accuracy.top5_correct) == (7, 4, 6)
    assert accuracy.dataset and len(accuracy.data_hash) == 16


def test_without_labels_there_are_no_answers(tmp_path):
    accuracy, answers = ask(saved(tmp_path / "a.npz", None))
    assert accuracy is None and answers.shape == (0, 3)


def test_no_more_than_asked(tmp_path):
    asked = saved(tmp_path / "a.npz", np.zeros(7, int))
    assert len(ask(replace(asked, accuracy_images=3))[1]) == 3
    assert ask(replace(asked, accuracy_images=0))[0] is None
