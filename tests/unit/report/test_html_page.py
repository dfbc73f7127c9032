"""The page: self-contained, well-formed, readable by everyone, and safe."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from msgspec.structs import replace

from tensordyno.report.document import document
from tensordyno.report.html_page import PAGE_SIZE, html_page, inline_json

VOID = {"meta", "link", "br", "input", "img", "hr"}


class Page(HTMLParser):
    """Elements with attributes in order, and a check that tags close in the order they opened."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text = [], [], []
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> inside {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs, _ in self.elements if name == tag]


@pytest.fixture(scope="module")
def text(written):
    return (written / "index.html").read_text()


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_nothing_is_loaded_from_anywhere(page, text):
    for tag, attrs, _ in page.elements:
        for name in ("src", "srcset", "data", "poster", "action", "background"):
            assert name not in attrs, f"<{tag} {name}={attrs[name]!r}>"
        if "href" in attrs:
            assert tag == "a" and attrs["href"].startswith("#")
    styles = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    assert styles and "url(" not in styles and "@import" not in styles
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'") and "http" not in policy


def test_the_library_that_draws_is_inside_once(text):
    assert len(re.findall(r"window\.vegaEmbed\s*=", text)) == 1
    assert 500_000 < len(text) < 3_000_000


def test_headings_descend_one_level_at_a_time(page):
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_ids_are_unique_and_every_reference_has_its_target(page):
    ids = [attrs["id"] for _, attrs, _ in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = [a["href"][1:] for a in page.all("a")]
    wanted += [
        attrs[k] for _, attrs, _ in page.elements for k in ("aria-labelledby", "data-spec") if k in attrs
    ]
    assert set(wanted) <= set(ids)


def test_landmarks_language_and_skip_link(page):
    assert page.all("html") == [{"lang": "en"}]
    for landmark in ("header", "nav", "main", "footer"):
        assert len(page.all(landmark)) == 1, landmark
    assert page.all("a")[0] == {"class": "skip", "href": "#main"}
    assert page.all("nav")[0]["aria-label"]
    assert all("aria-labelledby" in a for a in page.all("section"))


def test_every_chart_has_a_text_alternative_a_caption_and_a_table(page, made):
    drawn = [d for d in made.drawings.values() if d.spec]
    charts = [a for a in page.all("div") if a.get("class") == "chart"]
    assert [c["id"] for c in charts] == [f"chart-{d.name}" for d in drawn] and drawn
    for chart, drawing in zip(charts, drawn, strict=True):
        assert chart["role"] == "img"
        assert drawing.finding in chart["aria-label"]
    assert len(page.all("figcaption")) == len(drawn)
    tables = [a["aria-label"] for a in page.all("div") if a.get("class") == "scroll"]
    assert sorted(tables) == sorted(["All trials", *(f"Data of the chart: {d.title}" for d in drawn)])


def test_charts_carry_their_data_and_both_themes(text, made):
    for drawing in made.drawings.values():
        found = re.search(rf'id="spec-{drawing.name}">(.*?)</script>', text, re.DOTALL)
        assert bool(found) == bool(drawing.spec)
        if found:
            assert json.loads(found[1]) == drawing.spec
    themes = json.loads(re.search(r'id="themes">(.*?)</script>', text, re.DOTALL)[1])
    assert set(themes) == {"light", "dark"}


def test_every_section_of_the_outline_is_there_in_order(page, made):
    assert [a["id"] for a in page.all("section")] == [s.anchor for s in made.outline]


@pytest.mark.parametrize("case", ["int8", "untimed", "study"])
def test_a_page_about_int8_is_as_well_formed(case, request):
    made = request.getfixturevalue(case)[2]
    page = Page(html_page(made, ""))
    test_ids_are_unique_and_every_reference_has_its_target(page)
    test_headings_descend_one_level_at_a_time(page)
    test_every_section_of_the_outline_is_there_in_order(page, made)
    shown = "".join(page.text)
    assert all(measure.text in shown for row in made.accuracy.rows for measure in row.found)
    assert all(sentence in shown for network in made.calibrations for sentence in network.sentences)
    assert len(page.all("table")) == 2 + sum(len(n.tables) for n in made.calibrations) + len(made.drawings)


def test_a_page_of_right_answers_has_no_word_of_throughput(untimed):
    shown = "".join(Page(html_page(untimed[2], "")).text)
    assert "Ratios are" not in shown and "images/s" not in shown and "Throughput" not in shown
    assert "UNSTABLE" not in shown


def test_every_trial_is_a_row_with_its_verdict_and_its_reason(page, made):
    rows = [a for a in page.all("tr") if "data-verdict" in a]
    assert [r["data-verdict"] for r in rows] == [r.verdict.value for r in made.trials.rows]
    shown = " ".join(page.text)
    for row in made.trials.rows:
        assert row.reason in shown


def test_sortable_headings_are_buttons_with_a_state(page):
    heads = [
        (attrs, parents) for tag, attrs, parents in page.elements if tag == "th" and "aria-sort" in attrs
    ]
    assert len(heads) == 11
    assert all(a["scope"] == "col" for a in page.all("th"))
    assert sum(1 for tag, _, parents in page.elements if tag == "button" and parents[-1] == "th") == len(
        heads
    )


def test_a_long_table_is_paged(run, rows, made):
    many = [replace(rows[0], trial=f"t{i}") for i in range(PAGE_SIZE + 20)]
    page = Page(html_page(document(run, many, list(made.drawings.values())), ""))
    hidden = [a for a in page.all("tr") if "data-verdict" in a and "hidden" in a]
    assert len(hidden) == 20


def test_what_a_worker_says_cannot_become_markup(run, rows, made):
    evil = '<script>alert("1")</script><b x=\'"\'>'
    crashed = next(s for s in rows if s.verdict == "crashed")
    changed = [replace(crashed, reason=evil, model=evil, engine=evil), *rows]
    document_ = document(run, changed, list(made.drawings.values()))
    page = Page(html_page(document_, ""))
    assert not any(tag == "b" for tag, _, _ in page.elements)
    assert evil in "".join(page.text)


def test_json_inside_a_script_cannot_end_it():
    value = {"a": "</script><!--<script>"}
    assert "<" not in inline_json(value)
    assert json.loads(inline_json(value)) == value
    with pytest.raises(ValueError):
        inline_json(float("nan"))


def test_nothing_valid_is_said_plainly(nothing_valid):
    from tensordyno.report.write import write_report

    text = write_report(nothing_valid).read_text()
    page = Page(text)
    assert "No trial is VALID, so nothing is ranked. The table says why." in " ".join(page.text)
    assert "The worker was killed by signal 11" in text
