"""The report as Markdown: the same words and tables, figures as pictures beside it."""

import re
from collections.abc import Callable, Iterable, Sequence

from tensordyno.report.answer import Verdicts
from tensordyno.report.document import Document
from tensordyno.report.drawings import Drawing
from tensordyno.report.outline import Section
from tensordyno.report.trial_table import TrialRow

ROW_LIMIT = 500
ANSWER_LIMIT = 60


def markdown(document: Document) -> str:
    """The report in GitHub's Markdown."""
    lines = [
        f"# {plain(document.title)}",
        "",
        f"**{plain(document.headline)}**",
        "",
        f"{plain(document.machine)}. {document.started}. {document.tally}.",
    ]
    for section in document.outline:
        lines += ["", f"## {section.heading}", "", *_section(document, section)]
    lines += ["", "---", f"Run {document.run}, made by Tensordyno {document.version}.", ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def _section(document: Document, section: Section) -> Iterable[str]:
    parts: dict[str, Callable[[Document], Iterable[str]]] = {
        "answer": _answers,
        "trials": _trials,
        "memory": _memory,
        "devices": _devices,
        "accuracy": _accuracy,
        "calibration": _calibrations,
        "environment": _environment,
        "warnings": _warnings,
        "method": lambda doc: "\n\n".join(doc.methods).split("\n"),
        "reproduce": lambda doc: ["```", doc.command, "```"],
    }
    part = [*parts[section.part](document), ""] if section.part else []
    return [*part, *(line for name in section.figures for line in figure_lines(document.drawings[name]))]


def _answers(document: Document) -> list[str]:
    if not document.answers:
        return ["No trial is VALID, so nothing is ranked. The table says why."]
    lines = []
    for verdicts in document.answers[:ANSWER_LIMIT]:
        lines += [f"### {verdicts.name}", "", f"{verdicts.facts}", "", *_bests(verdicts), ""]
    if len(document.answers) > ANSWER_LIMIT:
        lines.append(f"{len(document.answers) - ANSWER_LIMIT} more networks are in trials.csv.")
    return lines[:-1] if not lines[-1] else lines


def _bests(verdicts: Verdicts) -> list[str]:
    rows = []
    for best in verdicts.bests:
        doubt = f" (95 % interval {best.doubt})" if best.doubt else ""
        value = f"**{best.value} {best.unit}**{doubt}" if best.unit else best.value
        rows.append((best.heading, value, best.who, "; ".join(best.notes)))
    return table_lines(("For", "Value", "Configuration", "Compared"), rows, "llll")


def _trials(document: Document) -> list[str]:
    headings = [h.title for h in document.trials.headings]
    align = "".join("r" if h.numeric else "l" for h in document.trials.headings)
    rows = [_trial(row, len(headings)) for row in document.trials.rows[:ROW_LIMIT]]
    lines = table_lines(headings, rows, align)
    if len(document.trials.rows) > ROW_LIMIT:
        lines += ["", f"The first {ROW_LIMIT} of {len(document.trials.rows):,} rows; all are in trials.csv."]
    return lines


def _trial(row: TrialRow, width: int) -> list[str]:
    verdict = f"{row.verdict_text}: {row.reason}" if row.reason else row.verdict_text
    cells = [*(cell.text for cell in row.asked), verdict, *(cell.text for cell in row.found)]
    return [*cells, *[""] * (width - len(cells))]


def _memory(document: Document) -> list[str]:
    table = document.memory
    assert table is not None  # the outline leaves the part out otherwise
    align = "ll" + "r" * (len(table.headings) - 2)
    lines = [table.how_to_read, "", *table_lines(table.headings, table.rows, align)]
    return [*lines, *(["", f"{table.left_out:,} more are not shown."] if table.left_out else [])]


def _devices(document: Document) -> list[str]:
    lines: list[str] = []
    for page in document.devices:
        lines += [f"### {plain(page.name)}", "", *table_lines(("Feature", "Value"), page.facts, "ll"), ""]
        for table, texts in ((page.ceilings, 1), (page.shares, 2)):
            if table:
                align = "l" * texts + "r" * (len(table.headings) - texts)
                lines += [f"{table.caption}:", "", *table_lines(table.headings, table.rows, align), ""]
        lines += [line for note in page.notes for line in (plain(note), "")]
    return lines


def _accuracy(document: Document) -> list[str]:
    table = document.accuracy
    assert table is not None  # the outline leaves the part out otherwise
    rows = [(*row.asked, *(measure.line for measure in row.found)) for row in table.rows]
    align = "l" * len(table.asked) + "r" * len(table.found)
    lines = [table.how_to_read, "", *table_lines((*table.asked, *table.found), rows, align)]
    return [*lines, *(["", f"{table.left_out:,} more rows are in trials.csv."] if table.left_out else [])]


def _calibrations(document: Document) -> list[str]:
    lines: list[str] = []
    for network in document.calibrations:
        lines += [f"### {network.name}", "", plain(" ".join(network.sentences)), ""]
        for table in network.tables:
            align = "l" + "r" * (len(table.headings) - 1)
            lines += [f"{table.caption}:", "", *table_lines(table.headings, table.rows, align), ""]
    return lines


def figure_lines(drawing: Drawing) -> list[str]:
    """A drawing with its words, as a picture in figures/ beside the page."""
    head = [f"### {drawing.title}", ""]
    if drawing.spec is None:
        return [*head, f"Nothing to draw: {drawing.reason}", ""]
    picture = f"![{drawing.title}. {plain(drawing.finding)}](figures/{drawing.name}.svg)"
    return [
        *head,
        drawing.how_to_read,
        "",
        picture,
        "",
        f"{plain(drawing.finding)} {drawing.note}".strip(),
        "",
    ]


def _environment(document: Document) -> list[str]:
    lines = []
    for group in document.environment:
        lines += [f"### {group.heading}", "", *table_lines(("Fact", "Value"), group.facts, "ll"), ""]
    return lines[:-1]


def _warnings(document: Document) -> list[str]:
    if not document.warnings:
        return ["None."]
    return [
        f"- {plain(w.sentence)} `{w.slug}`{f' ({len(w.trials)} trials)' if w.trials else ''}"
        for w in document.warnings
    ]


def table_lines(headings: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> list[str]:
    """A table; `align` holds "l" or "r" for each column."""
    rule = {"l": ":--", "r": "--:"}
    lines = [_line(headings), _line([rule[a] for a in align])]
    return lines + [_line([plain(cell) for cell in row]) for row in rows]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def plain(text: str) -> str:
    """Text that stays inside its cell and shows its underscores and angle brackets as they are."""
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
