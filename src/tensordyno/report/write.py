"""Makes every file of a report from a stored run; nothing is measured and no fact is changed."""

from pathlib import Path

import msgspec

from tensordyno.analysis.scores import scores
from tensordyno.analysis.summary import summary
from tensordyno.report.csv_table import csv_table, flat_rows
from tensordyno.report.document import document
from tensordyno.report.drawings import export
from tensordyno.report.html_page import html_page
from tensordyno.report.markdown import markdown
from tensordyno.report.parquet_table import parquet_table
from tensordyno.store.reader import read_run
from tensordyno.store.writer import explained, write_whole


def write_report(run_folder: Path, out: Path | None = None) -> Path:
    """Write index.html, report.md, trials.csv, trials.parquet and figures/; returns the path of index.html.

    `out` is RUN/report when not given. Writes RUN/summary.json too if a crash left the run without one.
    Raises StoreError for a folder that holds no run or cannot be written, and MissingPackage when the
    extra `report` is not installed.
    """
    run = read_run(run_folder)
    rows = scores(run)
    made = document(run, rows)
    table = flat_rows(rows)
    folder = out or run.folder.report
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not run.folder.summary.exists():
            text = msgspec.json.format(msgspec.json.encode(summary(run, rows)), indent=2)
            write_whole(run.folder.summary, text)
        write_whole(folder / "trials.csv", csv_table(table).encode())
        write_whole(folder / "trials.parquet", parquet_table(table))
        write_whole(folder / "report.md", markdown(made).encode())
        export(made.drawings.values(), folder / "figures", made.subtitle)
        write_whole(folder / "index.html", html_page(made).encode())
    except OSError as wrong:
        raise explained(wrong, folder) from wrong
    return folder / "index.html"
