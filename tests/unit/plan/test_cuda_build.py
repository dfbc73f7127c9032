import pytest

from tensordyno.plan.cuda_build import CudaBuild, cuda_build, read_build

TORCH = """from typing import Optional

__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip', 'rocm', 'xpu']
__version__ = '{version}'
debug = False
cuda: Optional[str] = {cuda}
hip: Optional[str] = None
"""


def torch_files(folder, version, cuda):
    (folder / "version.py").write_text(TORCH.format(version=version, cuda=cuda))
    return folder


@pytest.mark.parametrize(
    ("version", "cuda", "expected"),
    [("2.13.0+cu130", "'13.0'", "13.0"), ("2.13.0+cpu", "None", ""), ("2.11.0", '"12.8"', "12.8")],
)
def test_a_pytorch_tells_its_cuda(tmp_path, version, cuda, expected):
    assert read_build("torch", torch_files(tmp_path, version, cuda)) == CudaBuild(version, expected)


@pytest.mark.parametrize(("line", "cuda"), [('cuda_version = "12.8"\n', "12.8"), ("", "")])
def test_an_onnx_runtime_tells_its_cuda(tmp_path, line, cuda):
    (tmp_path / "capi").mkdir()
    told = f"package_name = 'onnxruntime-gpu'\n__version__ = '1.31.1'\n{line}"
    (tmp_path / "capi" / "build_and_package_info.py").write_text(told)
    assert read_build("onnxruntime", tmp_path) == CudaBuild("1.31.1", cuda)


@pytest.mark.parametrize("source", ["", "cuda = '13.0'\n", "__version__ = '2' + suffix()\n"])
def test_files_that_do_not_tell_are_no_answer(tmp_path, source):
    (tmp_path / "version.py").write_text(source)
    assert read_build("torch", tmp_path) is None


def test_a_package_that_is_not_here_is_no_answer(tmp_path):
    assert read_build("torch", tmp_path) is None
    assert cuda_build("openvino") is None


@pytest.mark.parametrize("package", ["torch", "onnxruntime"])
def test_the_files_agree_with_the_package_itself(package):
    module = pytest.importorskip(package)
    found = cuda_build(package)
    assert found is not None and found.version == str(module.__version__)
    if package == "torch":
        assert found.cuda == (module.version.cuda or "")
