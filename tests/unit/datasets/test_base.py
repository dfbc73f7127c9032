import numpy as np
import pytest

from tensordyno.datasets.base import DATASETS, DataRequest, member_of, open_dataset
from tensordyno.errors import UnknownName


def test_the_catalogue_holds_the_four_members():
    assert set(DATASETS.names()) >= {"synthetic", "fashion", "image-folder", "arrays"}


def test_a_name_finds_its_member(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "fashion").mkdir()
    names = ["synthetic", "fashion", "photos", "./fashion", "a/b", "x.npz", "a/x.npz"]
    members = ["synthetic", "fashion", "image-folder", "image-folder", "image-folder", "arrays", "arrays"]
    assert [member_of(name) for name in names] == members


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownName, match="no dataset called 'fashon'") as caught:
        open_dataset(DataRequest(name="fashon"))
    assert "fashion" in caught.value.remedy


def test_an_npz_file_is_opened_as_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 4, 4), np.uint8))
    assert open_dataset(DataRequest(name=str(tmp_path / "a.npz"))).name == "a.npz"
