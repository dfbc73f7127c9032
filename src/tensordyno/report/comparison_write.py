"""Makes every file of a comparison's page; the runs are only read."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from tensordyno.analysis.compare_devices import DeviceComparison
from tensordyno.report.comparison import Chapter, ComparedDocument, compared_document
from tensordyno.report.drawings import export, vl_convert
from tensordyno.report.html_page import chart_library, render
from tensordyno.report.markdown import figure_lines, plain, table_lines
from tensordyno.store.writer import explained, write_whole


def write_comparison(found: DeviceComparison, folder: Path) -> Path:
    """Write index.html, comparison.md, comparison.json and figures/; returns the path of index.html.

    Raises StoreError when the folder cannot be written, and MissingPackage when the extra `report` is not
    installed.
    """
    vl_convert()  # say now that it is missing
    made = compared_document(found)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        export(made.drawings.values(), folder / "figures", made.title)
        write_whole(folder / "comparison.json", msgspec.json.format(msgspec.json.encode(found), indent=2))
        write_whole(folder / "comparison.md", comparison_markdown(made).encode())
        page = render("comparison.html", chart_library(), doc=made)
        write_whole(folder / "index.html", page.encode())
    except OSError as wrong:
        raise explained(wrong, folder) from wrong
    return folder / "index.html"


def comparison_markdown(document: ComparedDocument) -> str:
    """The comparison in GitHub's Markdown."""
    lines = [f"# {plain(document.title)}", "", f"**{plain(document.headline)}**", "", plain(document.meta)]
    for chapter in document.outline:
        lines += ["", f"## {chapter.heading}", "", *_chapter(document, chapter)]
    return "\n".join([*lines, "", "---", f"Made by Tensordyno {document.version}.", ""])


def _chapter(document: ComparedDocument, chapter: Chapter) -> Iterable[str]:
    for paragraph in chapter.paragraphs:
        yield from (plain(paragraph), "")
    for table in chapter.tables:
        align = "l" * chapter.text_columns + "r" * (len(table.headings) - chapter.text_columns)
        yield from (f"{plain(table.caption)}:", "")
        yield from (*table_lines(table.headings, table.rows, align), "")
    for name in chapter.figures:
        yield from figure_lines(document.drawings[name])
    yield from (f"- {plain(item)}" for item in chapter.listed)
