"""The report as one HTML file that works offline: words, tables, charts and the library that draws them."""

import json
from html import escape
from pathlib import Path
from typing import Any

from tensordyno.errors import MissingPackage
from tensordyno.figures.style import config
from tensordyno.report.document import GRAVE, Document
from tensordyno.report.drawings import VEGA_LITE, vl_convert
from tensordyno.report.trial_table import Cell, TrialRow, TrialTable

HERE = Path(__file__).parent
PAGE_SIZE = 500  # rows of the table of trials shown at once
ANSWERS_SHOWN = 6
MOST_ANSWERS = 60
TRIALS_NAMED = 40
LONG_NAME = 16  # characters of a network and its place; longer ones need room to wrap well
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


def html_page(document: Document, library: str) -> str:
    """The page, with the script of `chart_library` in it.

    Raises MissingPackage when Jinja2 is not installed.
    """
    return render(
        "page.html",
        library,
        doc=document,
        rows_html=_rows(document.trials),
        grave=[w for w in document.warnings if w.slug in GRAVE],
        grave_slugs=GRAVE,
        page_size=PAGE_SIZE,
        answers_shown=ANSWERS_SHOWN,
        most_answers=MOST_ANSWERS,
        trials_named=TRIALS_NAMED,
    )


def render(template: str, library: str, **words: Any) -> str:
    """A page that extends frame.html, with style and scripts in it; the macros of parts.html are at hand.

    Words that end in `_html` are HTML already and lose that ending. Raises MissingPackage when Jinja2 is not
    installed.
    """
    environment = _environment()
    from markupsafe import Markup

    given = {"css_html": _text("page.css"), "js_html": _text("page.js"), "bundle_html": library} | words
    plain = {name: value for name, value in given.items() if not name.endswith("_html")}
    safe = {name[:-5]: Markup(value) for name, value in given.items() if name.endswith("_html")}
    parts = environment.get_template("parts.html").module
    macros = {name: macro for name, macro in vars(parts).items() if not name.startswith("_")}
    themes = {"light": config("light"), "dark": config("dark")}
    page: str = environment.get_template(template).render(**macros, themes=themes, **plain, **safe)
    return page


def _environment() -> Any:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError as absent:
        raise MissingPackage("jinja2", "report") from absent
    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["inline_json"] = lambda value: Markup(inline_json(value))
    return made


def inline_json(value: Any) -> str:
    """JSON that may stand inside a script element: no tag can begin in it."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8").rstrip()


def chart_library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, from the package that also draws the pictures.

    Raises MissingPackage when vl-convert is not installed. Takes about a second.
    """
    script: str = vl_convert().javascript_bundle(_SNIPPET, vl_version=VEGA_LITE)
    return script.replace("</script", "<\\/script")


def _rows(table: TrialTable) -> str:
    """All rows as HTML. Written by hand: a template takes seconds for ten thousand rows."""
    width = len(table.found)
    return "\n".join(_row(number, row, width) for number, row in enumerate(table.rows))


def _row(number: int, row: TrialRow, width: int) -> str:
    hidden = " hidden" if number >= PAGE_SIZE else ""
    network, engine, precision, batch = row.asked
    long = " class=l" if len(network.text) > LONG_NAME else ""
    swatch = f'<span class="swatch" style="background:{row.colour}"></span>'
    asked = (
        f"<td{long}>{escape(network.text)}</td><td class=e>{swatch}{escape(engine.text)}</td>"
        f"<td>{escape(precision.text)}</td>{_number(batch)}"
        f'<td class=v><span class="chip {row.verdict.value}">{row.verdict_text}</span></td>'
    )
    found = "".join(map(_number, row.found)) or f"<td class=why colspan={width}>{escape(row.reason)}</td>"
    because = ""
    if row.reason and row.found:
        why = f"<td colspan=4></td><td colspan={width + 1}>{escape(row.reason)}</td>"
        because = f"<tr class=because{hidden}>{why}</tr>"
    return f'<tr data-verdict="{row.verdict.value}"{hidden}>{asked}{found}</tr>{because}'


def _number(cell: Cell) -> str:
    return f'<td class=n data-k="{cell.key}">{escape(cell.text)}</td>'
