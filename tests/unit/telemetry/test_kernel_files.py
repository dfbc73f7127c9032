import pytest

from tensordyno.telemetry.base import SensorUnavailable
from tensordyno.telemetry.kernel_files import KernelFile, open_or_unavailable, read_number, read_text


def test_a_kept_file_is_read_anew_each_time(tmp_path):
    path = tmp_path / "counter"
    path.write_text("1\n")
    file = KernelFile(path).open()
    assert file.read() == b"1\n"
    path.write_text("22\n")
    assert file.read() == b"22\n"
    file.close()


def test_a_file_longer_than_one_read_comes_whole(tmp_path):
    path = tmp_path / "stat"
    path.write_bytes(b"x" * 200_000)
    file = KernelFile(path).open()
    assert len(file.read()) == 200_000
    file.close()


def test_closing_twice_is_harmless_and_reading_after_it_is_refused(tmp_path):
    path = tmp_path / "counter"
    path.write_text("1")
    file = KernelFile(path).open()
    file.close()
    file.close()
    with pytest.raises(ValueError, match="not open"):
        file.read()


def test_a_missing_file_is_named_with_the_systems_reason(tmp_path):
    with pytest.raises(SensorUnavailable, match="diskstats: No such file"):
        open_or_unavailable(KernelFile(tmp_path / "diskstats"))


@pytest.mark.parametrize(
    ("content", "text", "number"), [("42\n", "42", 42.0), ("a b", "a b", None), ("\n", None, None)]
)
def test_small_files(tmp_path, content, text, number):
    path = tmp_path / "file"
    path.write_text(content)
    assert read_text(path) == text
    assert read_number(path) == number


def test_small_files_that_are_not_there_are_none(tmp_path):
    assert read_text(tmp_path / "none") is None
    assert read_number(tmp_path / "none") is None
