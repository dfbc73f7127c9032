"""What the tree promises: sizes, the wall between parent and frameworks, catalogues, documents."""

import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tensordyno"
FILES = sorted(SOURCE.rglob("*.py"))
FRAMEWORKS = (
    *("torch", "triton", "onnx", "onnxruntime", "openvino", "torchvision", "timm"),
    *("matplotlib", "altair", "pandas", "pyarrow", "vl_convert", "jinja2", "scipy"),
)
PARENT = (
    *("tensordyno.cli.main", "tensordyno.cli.execute", "tensordyno.cli.doctor_pages", "tensordyno.cli.infer"),
    *("tensordyno.run.start", "tensordyno.run.session", "tensordyno.plan.make", "tensordyno.store.reader"),
    *("tensordyno.analysis.scores", "tensordyno.analysis.compare", "tensordyno.telemetry.machine"),
)


def functions():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(SOURCE)}:{node.name}", node.end_lineno - node.lineno + 1


def gpu_kernels():
    """The functions that are launched on a GPU: an argument a line, and one loop that holds all registers."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any(
                "do_not_specialize" in ast.unparse(each) for each in node.decorator_list
            ):
                yield f"{path.relative_to(SOURCE)}:{node.name}"


@pytest.mark.parametrize("module", PARENT)
def test_the_parent_imports_no_framework(module):
    loaded = "{m.split('.')[0] for m in sys.modules}"
    check = f"import sys, {module}; print(*sorted({loaded} & set({FRAMEWORKS!r})))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_bare_worker_needs_little_more_than_numpy():
    """An engine's own environment needs no click, rich, PyYAML or telemetry libraries."""
    absent = ("click", "rich", "yaml", "PIL", "psutil", "pynvml", "torch", "onnxruntime", "openvino", "onnx")
    check = (
        f"import sys; sys.modules.update(dict.fromkeys({absent!r}));"
        "import tensordyno.worker.serve, tensordyno.engines.null_engine, tensordyno.scenarios.inference"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_sizes():
    lines = [len(path.read_text().splitlines()) for path in FILES]
    spans = dict(functions())
    median, p90 = statistics.median(lines), statistics.quantiles(lines, n=10)[-1]
    print(f"\nfiles: {len(lines)}, median {median}, p90 {p90:.0f}, largest {max(lines)}")
    typical = statistics.median(spans.values())
    print(f"functions: {len(spans)}, median {typical}, largest {max(spans.values())}")
    assert max(lines) <= 400
    assert median <= 120 and p90 <= 250
    assert typical <= 10
    most = dict.fromkeys(gpu_kernels(), 100)
    assert {name: n for name, n in spans.items() if n > most.get(name, 60)} == {}


def test_no_module_bears_a_name_of_the_standard_library_or_says_nothing():
    names = {path.stem for path in FILES} - {"__init__", "__main__"}
    assert not names & {"utils", "util", "helpers", "helper", "manager", "core", "common", "misc"}
    assert not names & (sys.stdlib_module_names - {"code"})


def slugs_in_source():
    """Every slug the code can show: the string constants in the places where slugs stand."""
    pattern = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)+$")
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                keywords = [k.value for k in node.keywords if k.arg == "slug"]
                first = node.args[:1] if name.endswith(("Error", "Failure", "Failed", "about")) else []
                for value in (*first, *keywords):
                    text = value.value if isinstance(value, ast.Constant) else None
                    if isinstance(text, str) and pattern.match(text):
                        yield text


def test_every_slug_has_its_paragraph_and_every_paragraph_its_slug():
    documented = set(re.findall(r"^### `([a-z0-9-]+)`", (ROOT / "MESSAGES.md").read_text(), re.MULTILINE))
    missing = set(slugs_in_source()) - documented
    assert not missing, f"MESSAGES.md lacks {sorted(missing)}"
    text = "\n".join(path.read_text() for path in FILES)
    stale = {slug for slug in documented if slug not in text and not slug.startswith("unknown-")}
    assert not stale, f"MESSAGES.md explains what nothing says: {sorted(stale)}"


def test_the_documents_exist_and_name_both_commands():
    readme = (ROOT / "README.md").read_text()
    assert "make demo" in readme and "make test" in readme
    for name in ("ARCHITECTURE", "METHOD", "MESSAGES", "CONTRIBUTING", "CHANGELOG"):
        assert (ROOT / f"{name}.md").stat().st_size > 500, name


def test_the_changelog_knows_the_version():
    from tensordyno import __version__

    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()
