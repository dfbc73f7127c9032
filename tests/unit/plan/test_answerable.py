import numpy as np
import pytest
from PIL import Image

from tensordyno.errors import DataError, UsageError
from tensordyno.plan import answerable as module
from tensordyno.plan.answerable import check_answerable
from tensordyno.records.calibration import Calibration
from tensordyno.records.trial import EngineChoice, Trial
from tensordyno.vocabulary import Precision, Task


def trial(model="lenet5_fashion", dataset="fashion", task=Task.ACCURACY, **more):
    usual = {"engine": EngineChoice(name="null"), "precision": Precision.FP32, "batch_size": 1}
    return Trial(id="t", model=model, dataset=dataset, task=task, **(usual | more))


def refusal(kind, *trials):
    with pytest.raises(kind) as caught:
        check_answerable(trials)
    assert "\n" not in caught.value.line() and caught.value.exit_code == 2
    return caught.value


def test_trained_networks_and_labelled_images_are_fine(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(9 * 16, dtype=np.uint8).reshape(9, 4, 4), y=np.zeros(9, int))
    mine = str(tmp_path / "a.npz")
    check_answerable(
        [
            trial(),
            trial("resnet50", mine, weights="w.pt"),
            trial("torchvision:resnet18", mine, weights="w.pt"),
            trial("mine.nets:make", mine),
            trial("net.onnx", mine, calibration=Calibration(), hold_out=True, precision=Precision.INT8),
        ]
    )


def test_speed_needs_neither_labels_nor_training():
    check_answerable([trial("resnet50", "synthetic", Task.INFERENCE)])


@pytest.mark.parametrize("model", ["resnet50", "torchvision:resnet50", "timm:resnet50"])
def test_random_weights_have_no_accuracy(model):
    wrong = refusal(UsageError, trial(), trial(model))
    assert wrong.slug == "random-weights" and model in wrong.sentence and "--weights" in wrong.remedy


def test_images_without_labels_have_no_right_answers(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    wrong = refusal(DataError, trial(dataset=str(tmp_path)))
    assert wrong.slug == "no-labels" and str(tmp_path) in wrong.sentence and "labels.csv" in wrong.remedy
    assert refusal(DataError, trial(dataset="synthetic")).slug == "no-labels"


def test_an_empty_folder_to_calibrate_on_is_told_at_once(tmp_path):
    (tmp_path / "empty").mkdir()
    data = Calibration(data=str(tmp_path / "empty"))
    asked = trial(task=Task.INFERENCE, calibration=data, precision=Precision.INT8)
    assert refusal(DataError, trial(), asked).slug == "empty-data"


def test_a_single_image_is_too_few_for_both(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((1, 4, 4), np.uint8))
    asked = trial(
        dataset=str(tmp_path / "a.npz"),
        task=Task.INFERENCE,
        calibration=Calibration(),
        hold_out=True,
        precision=Precision.INT8,
    )
    assert refusal(DataError, asked).slug == "too-few-to-hold-out"


def test_each_dataset_is_opened_once(monkeypatch):
    opened = []
    monkeypatch.setattr(module, "open_dataset", lambda r: opened.append(r) or module_open(r))
    int8 = [trial(calibration=Calibration(seed=seed), precision=Precision.INT8) for seed in range(4)]
    check_answerable([trial(), trial("vgg6_fashion"), *int8])
    assert [request.split for request in opened] == ["test", "calibration"]


module_open = module.open_dataset
