"""Makes every file of a report from a stored run; nothing is measured and no fact is changed."""

import gc
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import msgspec

from tensordyno.analysis.scores import scores
from tensordyno.analysis.summary import summary
from tensordyno.report.conditions import machine_line
from tensordyno.report.csv_table import csv_table, flat_rows
from tensordyno.report.document import document, started
from tensordyno.report.drawings import draw, export, vl_convert
from tensordyno.report.html_page import chart_library, html_page
from tensordyno.report.markdown import markdown
from tensordyno.report.outline import sections
from tensordyno.report.parquet_table import parquet_table
from tensordyno.store.reader import read_run
from tensordyno.store.writer import explained, write_whole


def write_report(run_folder: Path, out: Path | None = None) -> Path:
    """Write index.html, report.md, trials.csv, trials.parquet and figures/; returns the path of index.html.

    `out` is RUN/report when not given. Writes RUN/summary.json too if a crash left the run without one.
    Raises StoreError for a folder that holds no run or cannot be written, and MissingPackage when the
    extra `report` is not installed.
    """
    with _no_cycles_sought():
        return _write(run_folder, out)


def _write(run_folder: Path, out: Path | None) -> Path:
    vl_convert()  # say now that it is missing
    run = read_run(run_folder)
    # What vl-convert does takes half of the time: another core does it while this one does the rest.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        library = pool.submit(chart_library)
        rows = scores(run)
        drawings = draw(run, rows, [name for section in sections(rows) for name in section.figures])
        folder = out or run.folder.report
        try:
            folder.mkdir(parents=True, exist_ok=True)
            subtitle = f"{machine_line(run.header.machine)}; {started(run)}"
            pictures = pool.submit(export, drawings, folder / "figures", subtitle)
            made = document(run, rows, drawings)
            table = flat_rows(rows)
            write_whole(folder / "trials.csv", csv_table(table).encode())
            write_whole(folder / "trials.parquet", parquet_table(table))
            write_whole(folder / "report.md", markdown(made).encode())
            write_whole(folder / "index.html", html_page(made, library.result()).encode())
            if not run.folder.summary.exists():
                text = msgspec.json.format(msgspec.json.encode(summary(run, rows)), indent=2)
                write_whole(run.folder.summary, text)
            pictures.result()
        except OSError as wrong:
            raise explained(wrong, folder) from wrong
    return folder / "index.html"


@contextmanager
def _no_cycles_sought() -> Iterator[None]:
    """Let the cycle collector rest: it walks a large run's records again and again and finds nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
