from datetime import datetime

import pytest

from tensordyno.errors import StoreError
from tensordyno.run import start as module
from tensordyno.run.progress import Progress
from tensordyno.run.start import default_root, resume_run, start_run
from tensordyno.spec.schema import ModelChoice, Spec
from tensordyno.spec.yaml_file import spec_from_text
from tensordyno.store.reader import read_run

SPEC = (
    "models: [lenet5_fashion]\nengines: [torch]\nmeasure: {clock: fake}\ntelemetry: {sources: []}\n"
    "baseline: torch\nlatency_bound_s: 0.5\nseed: 3\n"
)  # only the null engine runs on a fake clock: every trial is planned away


class Notes(Progress):
    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


@pytest.fixture
def root(tmp_path):
    start_run(spec_from_text(SPEC, "test"), tmp_path / "run", ["dyno", "run", "a b.yaml"], Progress())
    return tmp_path / "run"


def test_the_header_says_who_asked_for_what_and_where(root):
    run = read_run(root)
    header = run.header
    assert (header.run, header.command, header.seed) == ("run", "dyno run 'a b.yaml'", 3)
    assert (header.baseline, header.latency_bound_s) == ("torch", 0.5)
    assert datetime.fromisoformat(header.started).tzinfo is not None and header.clock_start_s > 0
    assert header.machine.cores >= 1
    assert len(run.skips) == 1 and run.outcomes == ()
    assert run.footer is not None and not run.footer.interrupted


def test_an_error_in_between_still_leaves_a_footer(tmp_path, monkeypatch):
    def broken(self, *arguments, **options):
        raise RuntimeError("a bug")

    monkeypatch.setattr(module.Session, "run", broken)
    with pytest.raises(RuntimeError):
        start_run(spec_from_text(SPEC, "test"), tmp_path / "run", ["dyno"], Progress())
    footer = read_run(tmp_path / "run").footer
    assert footer is not None and footer.interrupted


def test_a_finished_run_is_left_alone(root):
    before = (root / "records.jsonl").read_bytes()
    progress = Notes()
    resume_run(root, progress)
    assert progress.said == [f"{root} is finished: there is nothing to resume."]
    assert (root / "records.jsonl").read_bytes() == before


def test_a_damaged_spec_is_the_folders_fault(root):
    records = root / "records.jsonl"
    records.write_bytes(records.read_bytes().splitlines(keepends=True)[0])
    (root / "spec.yaml").unlink()
    with pytest.raises(StoreError) as caught:
        resume_run(root, Progress())
    assert caught.value.slug == "broken-record" and "spec.yaml" in caught.value.sentence


@pytest.mark.parametrize(
    ("spec", "tail"),
    [
        (Spec(name="GPU sweep, 2nd/try"), "gpu-sweep--2nd-try"),
        (Spec(models=(ModelChoice(name="torchvision:resnet50"),)), "torchvision-resnet50"),
        (Spec(), "run"),
    ],
)
def test_the_default_folder_is_readable_and_new(tmp_path, spec, tail):
    first = default_root(spec, tmp_path)
    assert first.parent == tmp_path and first.name.endswith(tail)
    first.mkdir()
    taken = default_root(spec, tmp_path)
    assert not taken.exists() and taken.name != first.name
