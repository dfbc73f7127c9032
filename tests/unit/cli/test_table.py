from made_run import make_run

from tensordyno.analysis.scores import scores
from tensordyno.cli.table import console, print_results
from tensordyno.store.reader import read_run


def test_what_lies_in_brackets_is_printed_as_it_is(capsys):
    console().print("crashed: [/usr/lib/libx.so] said :boom: [bold]")
    assert capsys.readouterr().out == "crashed: [/usr/lib/libx.so] said :boom: [bold]\n"


def test_results_name_every_trial_the_run_and_the_report(tmp_path, capsys):
    root = make_run(tmp_path / "run[1]")
    run = read_run(root)
    rows = scores(run)
    print_results(run, rows, root / "report" / "index.html")
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.strip().startswith(("resnet50 ", "lenet5_fashion "))]
    assert len(lines) >= len(rows)
    assert "run[1]" in out and "index.html" in out
    for word in ("valid", "unstable", "invalid", "crashed", "skipped"):
        assert word in out
