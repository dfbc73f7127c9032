"""What the PyTorch engines decide for a GPU; the decisions themselves need none."""

import msgspec
import pytest

torch = pytest.importorskip("torch")

from tensordyno.engines.torch_cuda import CudaOptions, choose_algorithms  # noqa: E402


@pytest.fixture(autouse=True)
def as_before():
    before = torch.backends.cudnn.benchmark
    yield
    torch.backends.cudnn.benchmark = before


@pytest.mark.parametrize(
    ("cudnn", "batch", "probe_s", "searched"),
    [
        ("auto", 64, None, True),
        ("auto", 65, None, False),
        ("auto", 256, 0.0193, True),  # resnet50 in strict fp32: 5.4 s
        ("auto", 512, 0.0193, False),
        ("auto", 1, 0.2, False),
        ("auto", 4096, 0.001, True),
        ("search", 4096, 1.0, True),
        ("heuristics", 1, 0.001, False),
    ],
)
def test_algorithms_are_timed_where_that_is_short(cudnn, batch, probe_s, searched):
    said = choose_algorithms(CudaOptions(cudnn=cudnn), batch, probe_s)
    assert torch.backends.cudnn.benchmark is searched
    assert said == ("algorithms timed" if searched else "heuristics")


@pytest.mark.parametrize("wrong", [{"queue": -1}, {"queue": 65}, {"cudnn": "best"}, {"graph": True}])
def test_options_are_bounded(wrong):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, CudaOptions)
