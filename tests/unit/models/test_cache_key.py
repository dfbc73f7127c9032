import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensordyno.errors import DataError, UnknownName
from tensordyno.models.cache_key import cache_key


def test_it_is_made_without_a_framework():
    code = (
        "import sys; from tensordyno.models.cache_key import cache_key; "
        "[cache_key(m, None, 0) for m in ('resnet50', 'lenet5_fashion', 'torchvision:resnet50')]; "
        "sys.exit(bool({'torch', 'onnx', 'onnxruntime'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(seed=st.integers(0, 2**63), reference=st.text())
def test_it_is_a_folder_name_and_differs_with_seed_and_reference(seed, reference):
    key = cache_key("torchvision:resnet50", None, seed, reference)
    assert key.startswith("torchvision-resnet50-")
    assert key == cache_key("torchvision:resnet50", None, seed, reference)
    assert key != cache_key("torchvision:resnet50", None, seed + 1, reference)
    assert key != cache_key("torchvision:resnet50", None, seed, reference + "x")


def test_it_follows_the_content_of_files(tmp_path, monkeypatch):
    weights, network, definition = tmp_path / "w.pt", tmp_path / "net.onnx", tmp_path / "keyed_nets.py"
    monkeypatch.syspath_prepend(tmp_path)

    def keys():
        return (
            cache_key("resnet18", str(weights), 0),
            cache_key(str(network), None, 0),
            cache_key("keyed_nets:make", None, 0),
        )

    for file in (weights, network, definition):
        file.write_bytes(b"first")
    before = keys()
    assert keys() == before
    for file in (weights, network, definition):
        file.write_bytes(b"other")
    assert all(a != b for a, b in zip(before, keys(), strict=True))
    assert keys()[1].startswith("net.onnx-")


def test_an_edited_definition_is_not_served_stale(tmp_path, monkeypatch):
    from tensordyno.models import cache_key as module

    edited = tmp_path / "resnet.py"
    edited.write_text(module.FAMILIES.source("resnet").read_text() + "# changed")
    before = cache_key("resnet18", None, 0), cache_key("vgg16", None, 0)
    source = module.FAMILIES.source
    monkeypatch.setattr(module.FAMILIES, "source", lambda f: edited if f == "resnet" else source(f))
    assert cache_key("resnet18", None, 0) != before[0]
    assert cache_key("vgg16", None, 0) == before[1]


def test_missing_files_and_names_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"w\.pt cannot be read") as caught:
        cache_key("resnet18", str(tmp_path / "w.pt"), 0)
    assert caught.value.slug == "missing-checkpoint"
    with pytest.raises(DataError) as caught:
        cache_key(str(tmp_path / "net.onnx"), None, 0)
    assert caught.value.slug == "missing-onnx"
    with pytest.raises(UnknownName):
        cache_key("resnet51", None, 0)
