import json

import pytest
from msgspec.structs import replace

from tensordyno.errors import DataError
from tensordyno.quantize.table_file import check_table, read_table, write_table
from tensordyno.records.calibration import CalibrationTable, LayerFacts, MethodScore, TensorRange

TABLE = CalibrationTable(
    model="m",
    model_hash="abc",
    data="d",
    data_hash="e",
    images=500,
    batch_size=25,
    seed=0,
    method="mse",
    asked_method="auto",
    ranges={"images": TensorRange(threshold=2.64, low=-1.0, high=2.64)},
    layers=(LayerFacts(name="conv", op="Conv", int8=True, sqnr_db=31.5),),
    tried=(MethodScore(method="mse", images=100, sqnr_db=None, agreement=1.0, drop=-0.01),),
    warnings=("Few. [few-calibration-images]",),
)


def test_a_table_comes_back_as_it_was(tmp_path):
    write_table(TABLE, tmp_path / "t.json")
    assert read_table(tmp_path / "t.json") == TABLE


def test_the_file_is_json_that_a_person_can_read(tmp_path):
    write_table(TABLE, tmp_path / "t.json")
    text = (tmp_path / "t.json").read_text()
    assert '\n  "method": "mse",\n' in text
    assert json.loads(text)["ranges"]["images"] == {"threshold": 2.64, "low": -1.0, "high": 2.64}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model": "m"}', '{"ranges": 3}'])
def test_no_table(tmp_path, text):
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(DataError, match="no calibration table") as refused:
        read_table(path)
    assert refused.value.slug == "bad-table" and "\n" not in refused.value.line()


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_no_file(tmp_path, name):
    with pytest.raises(DataError, match="cannot be read") as refused:
        read_table(tmp_path / name)
    assert refused.value.slug == "bad-table"


def test_ranges_belong_to_one_set_of_weights(tmp_path):
    check_table(TABLE, tmp_path, "abc")
    with pytest.raises(DataError, match="other weights") as refused:
        check_table(replace(TABLE, model="net"), tmp_path, "abd")
    assert refused.value.slug == "table-of-another-model" and "net" in refused.value.sentence
