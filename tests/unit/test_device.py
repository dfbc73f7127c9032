import pytest

from tensordyno.device import device_index, device_kind


@pytest.mark.parametrize(
    ("device", "kind", "index"),
    [("cpu", "cpu", 0), ("cuda", "cuda", 0), ("cuda:0", "cuda", 0), ("cuda:13", "cuda", 13)],
)
def test_taken_apart(device: str, kind: str, index: int) -> None:
    assert (device_kind(device), device_index(device)) == (kind, index)
