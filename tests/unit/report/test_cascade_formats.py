"""Reports for people: the answer first, readable when large, and text that stays text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from aksci.cascade.cascade_report import EnvironmentOutcome, ImageOutcome
from aksci.cascade.drift import EdgeDrift
from aksci.report.cascade_formats import CASCADE_FORMATS

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = {
    "ansi": "\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b1m",
    "azure": "a ##vso[task.setvariable variable=x]y",
    "azure in pieces": "#\n#[error]x #\x00#vso[task.complete]",
    "github": "::error::x\n::set-output name=a::b",
    "html": "</title></style></table><script>alert(1)</script><img src=x onerror=alert(1)>\"'&",
    "markdown": "a|b\n\n# c `d` **e** [f](https://evil.test) ![g](x) @all <details> ~~h~~ \\|",
    "address": "see https://evil.test and www.evil.test",
    "lines": "one\ntwo\r\nthree\rfour\u2028five\x0bsix",
    "long": "x" * 10_000,
    "template": "{{body}} {{title}} \\1 \\g<0> %0A %s {0}",
    "direction": "a\u202eb #\u2066#vso[task.complete] \u061c\u200fc",
    "surrogate": "\ud800",
    "empty": "",
}
_VOID = {"meta"}


class Page(HTMLParser):
    """What is in a page: elements, attributes, texts; and whether each element is closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes, self.texts, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def text(report):
    return CASCADE_FORMATS["text"](report)


def markdown(report):
    return CASCADE_FORMATS["markdown"](report)


def section(report, title):
    """Return the lines of one section of the text."""
    paragraphs = [one.splitlines() for one in text(report).split("\n\n")]
    return [line.strip() for one in paragraphs if one[0] == title for line in one[1:]]


@pytest.mark.parametrize("name", ["nothing", "mixed", "failure", "plan"])
@pytest.mark.parametrize("form", ["text", "markdown"])
def test_a_typical_report_reads_so(reports, name, form):
    """Write the files anew by what this compares them with, and read the difference."""
    assert CASCADE_FORMATS[form](reports[name]()) + "\n" == (GOLDEN / f"{name}.{form}").read_text()


def test_a_base_that_one_edge_takes_and_another_ignores_counts_once(reports):
    one = reports["mixed"]().drift[0]
    both = reports["of"](drift=(one, replace(one, type="mount", state="ignored")))
    assert text(both).startswith("1 base moved: nothing made again")
    assert len(section(both, "Bases")) == 2


def test_nothing_moved_is_one_line_even_where_environments_were_asked(reports):
    quiet = replace(
        reports["nothing"](),
        release_before="r:1",
        release_after="r:1",
        environments=(EnvironmentOutcome(name="local", outcome="unchanged"),),
    )
    assert len(text(quiet).splitlines()) == 1
    assert len(text(replace(quiet, release_after="")).splitlines()) == 1, "no release was made"
    left = replace(quiet, environments=(EnvironmentOutcome(name="local", outcome="left"),))
    assert section(left, "Environments") == ["left alone  local"]


def test_a_base_that_moved_and_is_left_is_told_though_nothing_is_made(reports):
    (edge,) = (one for one in reports["mixed"]().drift if one.state == "batched")
    waiting = replace(reports["nothing"](), drift=(edge,))
    assert text(waiting).splitlines()[0] == ("1 base moved (1 batched): nothing made again, 3 kept")
    assert "batch by cascade.edges.syntax" in section(waiting, "Bases")[0]


def test_a_failure_names_the_chain_that_it_blocks_and_no_other(reports):
    failure = reports["failure"]()
    other = ImageOutcome(image="rust", action="failed", error="no space\nleft")
    mine = ImageOutcome(image="tool", action="blocked", needs=("rust",), blocked_by=("rust",))
    both = replace(failure, images=(*failure.images, other, mine))
    first, second = section(both, "Failures")
    assert first.endswith("exit code 100; blocks python → catalog, recommend")
    assert second == "rust failed: no space left; blocks tool"


def test_a_very_long_error_does_not_hide_what_it_blocks(reports):
    failure = reports["failure"]()
    base, *others = failure.images
    long = replace(failure, images=(replace(base, error="e" * 5000), *others))
    assert section(long, "Failures")[0].endswith("…; blocks python → catalog, recommend")


def test_the_time_is_compared_with_the_critical_path(reports):
    assert section(reports["mixed"](), "Time") == [
        "44.5 s: look 0.4 s, images 34.0 s, tags 0.3 s, release 0.5 s, deploy 9.3 s",
        "images in 34.0 s; critical path base → python → catalog 32.6 s (1.04×)",  # noqa: RUF001 - how many times as long
    ]


def test_a_vulnerability_counts_once_on_however_many_platforms(reports):
    mixed = reports["mixed"]()
    twice = replace(mixed, findings=(*mixed.findings, *mixed.findings))
    assert section(twice, "Vulnerabilities") == section(mixed, "Vulnerabilities")


def test_a_plan_speaks_of_what_would_be(reports):
    told = text(reports["plan"]())
    for words in ("would be rebuilt", "would be deployed", "asked for"):
        assert words in told
    assert "rebuilt  base" not in told.replace("would be rebuilt", "")


def test_a_plan_says_once_why_images_would_be_rebuilt_that_share_the_cause(reports):
    planned = reports["plan"]()
    first = planned.images[0]
    names = [f"leaf-{at:02}" for at in range(13)]
    leaves = tuple(replace(first, image=name) for name in names)
    wide = replace(planned, images=(*planned.images, *leaves))
    told = section(wide, "Images")
    assert told[0].startswith(f"would be rebuilt  14 images: base, {', '.join(names)}")
    assert sum("bookworm-slim moved" in line for line in told) == 1
    assert markdown(wide).count("bookworm-slim moved") == 1
    listed = json.loads(CASCADE_FORMATS["json"](wide))["images"]
    assert sum(one["reasons"] == listed[0]["reasons"] for one in listed) == 14


def test_images_that_were_rebuilt_keep_a_row_each_for_their_digests(reports):
    """Only the row tells which digest came of which image."""
    first = reports["mixed"]().images[0]
    many = tuple(replace(first, image=f"leaf-{at}") for at in range(5))
    told = section(replace(reports["mixed"](), images=many), "Images")
    assert len(told) == 5


def test_three_hundred_images_are_a_few_lines_of_text(reports):
    told = text(reports["large"]())
    assert len(told.splitlines()) < 30
    assert re.search(r"rebuilt  service-000, .* and 295 more  base, which it needs, is new", told)
    assert "300 tags moved" in told


def test_three_hundred_images_that_are_all_different_are_thirty_lines_and_a_number(reports):
    large = reports["large"]()
    images = tuple(
        replace(one, reasons=({"code": "FORCED"}, {"code": f"CODE-{number}"}))
        for number, one in enumerate(large.images)
    )
    kept = tuple(replace(images[0], image=f"kept-{n}", action="kept") for n in range(9))
    lines = section(replace(large, images=(*kept, *images)), "Images")
    assert len(lines) == 31
    assert lines[-1] == "and 280 more"


def test_the_markdown_of_a_very_large_report_is_what_github_takes(reports):
    large = reports["large"](2000)
    images = tuple(
        replace(one, action="failed", error="*" * 1000, reasons=({"code": f"|{n}" * 200},))
        for n, one in enumerate(large.images)
    )
    edges = tuple(
        EdgeDrift(
            image=f"i{number}",
            reference=f"{number}{'|' * 800}",
            type="runtime",
            recorded="sha256:1",
            current="sha256:2",
            state="drifted",
            note="_" * 800,
        )
        for number in range(2000)
    )
    (asked,) = reports["mixed"]().dependents
    wide = {"reference": "|" * 800, "target": "*" * 800, "detail": "_" * 800}
    elsewhere = tuple(replace(asked, **wide, tag=f"{n}{'#' * 800}") for n in range(200))
    told = markdown(replace(large, images=images, drift=edges, dependents=elsewhere))
    assert len(told.encode()) < 1024 * 1024
    assert re.search(r"… and \d+ more\.", told)


def test_every_format_shows_every_report(each):
    name, report = each
    for form, render in CASCADE_FORMATS.items():
        assert render(report), (name, form)
        assert not render(report).endswith("\n"), "whoever writes it ends the line"


@pytest.mark.parametrize("bad", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("form", CASCADE_FORMATS)
def test_no_text_is_a_command_to_a_terminal_or_to_a_ci_system(reports, form, bad):
    told = CASCADE_FORMATS[form](reports["hostile"](bad))
    told.encode()
    assert "##vso[" not in told
    assert "##[" not in told
    assert not re.search(r"^\s*::", told, re.MULTILINE)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", told)


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_no_text_turns_what_follows_it_around(reports, form):
    told = CASCADE_FORMATS[form](reports["hostile"](HOSTILE["direction"]))
    assert not re.search("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", told)


@pytest.mark.parametrize("planned", [False, True])
def test_an_environment_that_failed_is_in_the_answer_which_is_not_green(reports, planned):
    left = EnvironmentOutcome(name="staging", outcome="failed", detail="rolled back")
    failed = replace(reports["mixed"](), environments=(left,), planned=planned)
    assert "deployment to staging failed" in text(failed).splitlines()[0]
    assert 'class="answer bad"' in CASCADE_FORMATS["html"](failed)
    assert 'class="answer bad"' not in CASCADE_FORMATS["html"](reports["mixed"]())


@pytest.mark.parametrize("bad", HOSTILE.values(), ids=HOSTILE)
def test_one_cell_stays_on_one_line_of_text(reports, bad):
    lines = text(reports["hostile"](bad)).splitlines()
    assert len(lines) == len(text(reports["hostile"]("plain")).splitlines())
    assert max(map(len, lines)) < 4000


@pytest.mark.parametrize("bad", HOSTILE.values(), ids=HOSTILE)
def test_nothing_is_markup_in_markdown(reports, bad):
    told = markdown(reports["hostile"](bad))
    for table in re.findall(r"(?:^\|.*\n?)+", told, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in table.splitlines()}
        assert len(widths) == 1, table
    plain = re.sub(r"\\.", "", told).replace("<!-- -->", "")
    assert not re.search(r"<|`|\*|\[|\]|!|@|~|://|www\.", plain)
    assert set(re.findall(r"^#+", told, re.MULTILINE)) == {"##", "###"}


@pytest.mark.parametrize("bad", HOSTILE.values(), ids=HOSTILE)
def test_nothing_is_markup_in_html(reports, bad):
    plain = Page(CASCADE_FORMATS["html"](reports["hostile"]("plain")))
    page = Page(CASCADE_FORMATS["html"](reports["hostile"](bad)))
    assert not {"script", "img", "a", "link", "iframe"} & set(page.elements)
    assert page.open == [], "each element is closed"
    assert not [name for name in page.attributes if name.startswith("on")]
    if bad:
        assert page.elements == plain.elements
        assert page.attributes == plain.attributes


def test_the_page_shows_a_hostile_text_as_it_is(reports):
    shown = Page(CASCADE_FORMATS["html"](reports["hostile"]("<b>&amp;{{body}}"))).texts
    assert "<b>&amp;{{body}}" in shown


def test_the_page_asks_for_nothing_and_runs_nothing(each):
    page = CASCADE_FORMATS["html"](each[1])
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|url\(|@import|<script|\{\{", page)


def test_the_page_has_a_bar_for_each_image_that_was_made(reports):
    page = CASCADE_FORMATS["html"](reports["mixed"]())
    assert page.count("<rect") == 5
    assert page.count('class="long"') == 3, "base, python, catalog"
    assert "<svg" not in CASCADE_FORMATS["html"](reports["plan"]())


def test_the_page_of_a_large_report_has_the_forty_bars_that_count(reports):
    page = CASCADE_FORMATS["html"](reports["large"]())
    assert page.count("<rect") == 40
    assert page.count('class="long"') == 2


def test_the_json_is_one_document(each):
    document = json.loads(CASCADE_FORMATS["json"](each[1]))
    assert document["schema"] == 1
    assert document["answer"] == text(each[1]).splitlines()[0]
