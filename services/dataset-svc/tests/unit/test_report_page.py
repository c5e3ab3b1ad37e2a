"""The page: well-formed, self-contained, harmless whatever it is fed, and its charts show the figures that they were given."""

import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from dataset_svc.domain.report import (
    CaseSource,
    Check,
    CheckOutcome,
    Contamination,
    DroppedDuplicate,
    GivenAway,
    QualityReport,
    SplitFigures,
)
from dataset_svc.domain.report_page.markup import joined, plain, tag
from dataset_svc.domain.report_page.page import render
from dataset_svc.domain.report_page.wording import count, fitted, name_of, share, short
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.sources.reading import BadLine
from dataset_svc.domain.statistics.builder import StatisticsBuilder
from dataset_svc.domain.statistics.columns import SampleColumns
from dataset_svc.domain.statistics.figures import Breakdown, Distribution, LengthPart, Statistics
from loopwright.contracts.tasks import DataPolicy
from loopwright.personal.kinds import PersonalKind

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "]]></style></title>",
    "&amp; &#0; &lt;",
    "\u202etxt.exe\u2066",
    "\x00\x08\x1b[31m\x85\ufffe",
    "\ud800",
    "  \n ",
    "이름 " * 200,
]
Tree = etree._Element


def statistics_of(
    categories: Sequence[str | None], *, answers: Sequence[str] = ("alert", "normal", "normal")
) -> Statistics:
    size = len(categories)
    rng = np.random.default_rng(1)
    named = [None if name is None else name.encode("utf-8", "replace").decode() for name in categories]
    builder = StatisticsBuilder()
    builder.add(
        SampleColumns(
            sample_ids=texts([f"s{place}" for place in range(size)]),
            questions=texts(["서버 다운 " * (place % 40 + 1) for place in range(size)]),
            answers=texts([answers[place % len(answers)] for place in range(size)]),
            splits=(np.arange(size) % 7 % 3).astype(np.int8),
            sources=texts(["rating"] * size),
            weights=rng.random(size),
            categories=texts(named),
            languages=texts(["ko"] * size),
            turns={"user": np.ones(size, np.int32), "assistant": np.ones(size, np.int32)},
            tokens={LengthPart.CONVERSATION: rng.lognormal(4, 1.5, size).astype(np.int32)},
            scores={"diversity": rng.random(size)},
        )
    )
    builder.note(duplicates={"exact": 3, "near": 40}, personal_data={"email": 12, "이름": 7})
    return builder.finish()


def texts(values: Sequence[str | None]) -> pa.LargeStringArray:
    return pa.array(values, pa.large_string())


def a_report(statistics: Statistics, *, text: str = "plain", bad: int = 3, copies: int = 2) -> QualityReport:
    kept = statistics.samples
    lines = kept + bad + copies
    left = lines
    checks: list[CheckOutcome] = []
    for check in Check:
        gone = {Check.READABLE: bad, Check.NEAR_DUPLICATE: copies}.get(check, 0)
        left -= gone
        checks.append(CheckOutcome(check=check, passed=left, dropped=gone, reasons={text: gone} if gone else {}))
    duplicate = DroppedDuplicate(
        check=Check.NEAR_DUPLICATE, dropped=f"d {text}", kept="k", why=text, input_similarity_0_1=0.9312
    )
    return QualityReport(
        request_id="r1",
        task_id="logs",
        dataset_name=text,
        data_policy=DataPolicy(held_out_share_0_1=0.25),
        expected_lines=lines,
        lines=lines,
        kept=kept,
        quality_score_0_1=kept / lines if lines else 0,
        checks=tuple(checks),
        personal_data_found={PersonalKind.EMAIL: 12},
        samples_with_personal_data=9,
        bad_lines=tuple(BadLine(line=place + 1, field=text, reason=text) for place in range(bad)),
        duplicates=(duplicate,) * copies,
        splits=SplitFigures(samples=statistics.splits, remembered_samples=4, strata=2),
        rejected_because=(text,),
    )


def parsed(page: str) -> Tree:
    """The page read as XML, which forgives nothing."""
    return etree.fromstring(page.encode(), etree.XMLParser(resolve_entities=False, recover=False))


def chart(tree: Tree, key: str) -> Tree:
    [found] = [one for one in tree.iterfind(".//*[@data-chart]") if one.get("data-chart") == key]
    return found


def bars_of(drawing: Tree) -> list[Tree]:
    return [bar for bar in drawing.iter("rect", "circle") if bar.get("data-value") is not None]


def values_of(drawing: Tree) -> list[float]:
    return [float(bar.get("data-value", "")) for bar in bars_of(drawing)]


def sizes_of(drawing: Tree, side: str) -> list[float]:
    return [float(bar.get(side, "")) for bar in bars_of(drawing)]


def tables_of(drawing: Tree) -> Iterator[list[list[str]]]:
    for table in drawing.iter("table"):
        yield [["".join(cell.itertext()) for cell in row] for row in table.iterfind("tbody/tr")]


def distributions(statistics: Statistics) -> dict[str, Distribution]:
    found = {f"length-{length.part}-{length.unit}": length.distribution for length in statistics.lengths}
    found |= {f"score-{score.part}": score.distribution for score in statistics.scores}
    return found | ({"weights": statistics.weights} if statistics.weights else {})


@pytest.fixture(scope="module")
def figures() -> Statistics:
    categories = [f"분류 {min(place % 17, place % 29)}" if place % 11 else None for place in range(900)]
    return statistics_of(categories)


@pytest.fixture(scope="module")
def tree(figures: Statistics) -> Tree:
    return parsed(render(a_report(figures), figures, title="고객센터 v3"))


class TestChartsShowTheFigures:
    def test_every_histogram_has_the_bins_of_its_distribution(self, tree: Tree, figures: Statistics) -> None:
        assert len(distributions(figures)) == 8
        for key, distribution in distributions(figures).items():
            drawing = chart(tree, key)
            told = [(float(bar.get("data-first", "")), float(bar.get("data-last", ""))) for bar in bars_of(drawing)]
            assert told == [(one.first, one.last) for one in distribution.bins]
            assert values_of(drawing) == [one.samples for one in distribution.bins]
            spread, bins = tables_of(drawing)
            assert ["P50", count(distribution.p50)] in spread
            assert [row[1] for row in bins] == [count(one.samples) for one in distribution.bins]

    def test_heights_are_in_proportion(self, tree: Tree, figures: Statistics) -> None:
        for key in distributions(figures):
            pairs = zip(values_of(chart(tree, key)), sizes_of(chart(tree, key), "height"), strict=True)
            tall = [height / value for value, height in pairs if height > 2]
            assert tall == pytest.approx([tall[0]] * len(tall), rel=1e-3)

    def test_breakdowns_show_every_part_of_the_first_names_and_the_rest_together(
        self, tree: Tree, figures: Statistics
    ) -> None:
        shown: dict[str, Breakdown] = {"categories": figures.categories, "languages": figures.languages}
        shown |= {"sources": figures.sources} | {f"labels-{field.field}": field.labels for field in figures.labels}
        assert "labels-answer" in shown
        for key, breakdown in shown.items():
            drawing = chart(tree, key)
            wanted = [float(size) for named in breakdown.shown[:12] for size in named.by_split.values()]
            rest = sum(named.samples for named in breakdown.shown[12:]) + breakdown.other_samples
            assert values_of(drawing) == wanted + [one for one in (rest, breakdown.unnamed_samples) if one]
            [table] = tables_of(drawing)
            assert [row[:2] for row in table] == [[named.name, count(named.samples)] for named in breakdown.shown]
            pairs = zip(values_of(drawing), sizes_of(drawing, "width"), strict=True)
            wide = [width / value for value, width in pairs if width > 2]
            assert wide == pytest.approx([wide[0]] * len(wide), rel=1e-3)

    def test_the_funnel_tells_what_went_on_and_what_went(self, tree: Tree, figures: Statistics) -> None:
        report = a_report(figures)
        drawing = chart(tree, "funnel")
        told = {
            (bar.get("data-check"), bar.get("data-part")): int(bar.get("data-value", "")) for bar in bars_of(drawing)
        }
        assert told.pop(("lines", "passed")) == report.lines
        wanted = {(check.check.value, "passed"): check.passed for check in report.checks}
        wanted |= {(check.check.value, "dropped"): check.dropped for check in report.checks if check.dropped}
        assert told == wanted
        [table] = tables_of(drawing)
        assert ["Readable", "", count(report.lines - 3), "3"] in table
        assert ["", "plain", "", "3"] in table

    def test_the_others_show_their_figures_too(self, tree: Tree, figures: Statistics) -> None:
        vocabulary = figures.vocabulary
        assert values_of(chart(tree, "splits")) == list(figures.splits.values())
        assert values_of(chart(tree, "roles")) == [role.turns for role in figures.roles]
        assert values_of(chart(tree, "words")) == [term.count for term in vocabulary.frequent_words[:20]]
        assert values_of(chart(tree, "pairs")) == [term.count for term in vocabulary.frequent_pairs[:20]]
        assert values_of(chart(tree, "personal-data")) == [12, 7]
        assert values_of(chart(tree, "duplicates")) == [40, 3]
        [kept] = values_of(next(tree.iter("header")))
        assert kept == pytest.approx(900 / 905, abs=1e-5)

    def test_no_chart_is_left_unchecked(self, tree: Tree, figures: Statistics) -> None:
        checked = {*distributions(figures), "categories", "languages", "sources", "labels-answer", "funnel"}
        checked |= {"splits", "roles", "words", "pairs", "personal-data", "duplicates"}
        assert {one.get("data-chart") for one in tree.iterfind(".//*[@data-chart]")} == checked

    def test_every_chart_has_a_title_a_description_and_a_table(self, tree: Tree) -> None:
        for drawing in tree.iter("svg"):
            assert [child.tag for child in drawing[:2]] == ["title", "desc"]
            assert drawing.get("role") == "img"
            assert drawing.get("aria-label")
        for one in tree.iter("figure"):
            assert list(tables_of(one))


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(figures: Statistics) -> None:
    page = render(a_report(figures), figures, title="t")
    tree = parsed(page)
    assert {one.tag for one in tree.iter()}.isdisjoint({"script", "link", "img", "iframe", "object", "form", "base"})
    assert not re.search(r"https?:|@import|url\(", page)
    [policy] = [one.get("content") for one in tree.iter("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert all(one.get("href", "#").startswith("#") for one in tree.iter("a"))
    targets = {one.get("href", "").removeprefix("#") for one in tree.iter("a")}
    assert targets == {one.get("id") for one in tree.iter("section")}


class _Seen(HTMLParser):
    """What a lenient reader, as browsers are, finds on the page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_shown_and_do_nothing(text: str) -> None:
    statistics = statistics_of([text] * 6, answers=[text.encode("utf-8", "replace").decode()])
    page = render(a_report(statistics, text=text), statistics, title=text)
    parsed(page)
    page.encode()
    seen = _Seen()
    seen.feed(page)
    harmless = _Seen()
    harmless.feed(render(a_report(statistics), statistics, title="t"))
    assert seen.tags == harmless.tags
    assert seen.attributes == harmless.attributes
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x80-\x9f\u202a-\u202e\u2066-\u2069]", page)


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_any_text_becomes_well_formed_markup_that_says_it(text: str) -> None:
    element = parsed(tag("p", text, title=text))
    shown = "".join(element.itertext())
    assert len(element) == 0
    for sign, told in zip(text, shown, strict=True):
        assert told in {sign, "\ufffd"}
    fit = all(sign.isalnum() and sign.isprintable() for sign in text)
    assert not fit or shown == text


def test_korean_text_stays_as_it_is(tree: Tree) -> None:
    assert next(tree.iter("h1")).findtext("bdi") == "고객센터 v3"
    assert "서버 다운" in "".join(chart(tree, "pairs").itertext())


def test_markup_is_escaped_once() -> None:
    assert joined(plain("<"), tag("b", "&")) == "&lt;<b>&amp;</b>"
    assert tag("td", "x", class_=None, data_value=3.0) == '<td data-value="3">x</td>'


def test_an_empty_upload_and_a_tiny_one_have_pages() -> None:
    for statistics in (StatisticsBuilder().finish(), statistics_of(["x"]), statistics_of([None])):
        tree = parsed(render(a_report(statistics, bad=0, copies=0), statistics, title="t"))
        assert not any("nan" in (value or "") for one in tree.iter() for value in one.values())
        assert next(tree.iter("ul")).get("class") == "because"


def test_the_verdict_follows_the_report(figures: Statistics) -> None:
    report = a_report(figures)
    for because, verdict in (((), "Fit to train on"), (("too few",), "Rejected")):
        told = report.model_copy(update={"rejected_because": because})
        tree = parsed(render(told, figures, title="t"))
        spans = [one for one in tree.iter("span") if (one.get("class") or "").startswith("verdict")]
        assert ["".join(one.itertext()) for one in spans] == [verdict]
        assert ["".join(one.itertext()) for one in tree.iterfind(".//ul[@class='because']/li")] == list(because)


def test_long_lists_are_cut_and_say_so(figures: Statistics) -> None:
    report = a_report(figures, bad=70, copies=80)
    tree = parsed(render(report, figures, title="t"))
    sections = {one.get("id"): one for one in tree.iter("section")}
    [bad] = tables_of(sections["bad"])
    assert [len(bad), bad[0]] == [50, ["1", "plain", "plain"]]
    assert "The first 50 of 70 bad lines" in "".join(sections["bad"].itertext())
    *_, copies = tables_of(sections["copies"])
    assert [len(copies), copies[0]] == [50, ["d plain", "k", "No near copy", "plain", "0.93", "–"]]


def given_away(text: str, *, case: str | None = "c1", version: int | None = 2) -> GivenAway:
    return GivenAway(
        dropped=f"d {text}",
        why="near duplicate",
        case=case,
        dataset_name=text,
        version=version,
        version_id=None if version is None else "dsv-2",
        likeness_0_1=0.925 if case else None,
    )


def section_of_cases(figures: Statistics, found: Contamination) -> Tree:
    report = a_report(figures).model_copy(update={"contamination": found})
    tree = parsed(render(report, figures, title="t"))
    [section] = [one for one in tree.iter("section") if one.get("id") == "cases"]
    return section


@pytest.mark.parametrize("text", HOSTILE)
def test_the_page_says_which_samples_went_for_which_case_and_what_was_not_compared(
    figures: Statistics, text: str
) -> None:
    source = CaseSource(
        dataset_name=text, version=2, version_id="dsv-2", cases=1200, left_out_cases=3, why_left_out="too many"
    )
    own = source.model_copy(update={"version": None, "cases": 5, "left_out_cases": 0, "why_left_out": ""})
    examples = (given_away(text), given_away(text, case=None, version=None), *[given_away(text)] * 100)
    section = section_of_cases(figures, Contamination(sources=(own, source), samples=2000, examples=examples))
    sources, shown = tables_of(section)
    assert [row[1:] for row in sources] == [
        ["this one and earlier ones", "", "5", ""],
        ["2", "too many", "1,200", "3"],
    ]
    assert len(shown) == 50
    assert shown[0][1:2] + shown[0][3:] == ["c1", "2", "near duplicate", "0.93"]
    assert shown[1][1:2] + shown[1][3:] == [
        "a question of an earlier version", "this one and earlier ones", "near duplicate", "–",
    ]  # fmt: skip
    told = "".join(section.itertext())
    assert "2,000 samples went" in told
    assert "The first 50 of 2,000 samples" in told


def test_a_report_from_before_cases_were_compared_has_a_page(figures: Statistics) -> None:
    older = a_report(figures).model_dump(mode="json", exclude={"contamination"})
    assert QualityReport.model_validate(older).contamination == Contamination()
    assert "nothing to compare with" in "".join(section_of_cases(figures, Contamination()).itertext())


def test_the_recipe_names_every_choice_of_the_policy(tree: Tree) -> None:
    [recipe] = [one for one in tree.iter("section") if one.get("id") == "recipe"]
    told = dict(zip(*(["".join(one.itertext()) for one in recipe.iter(name)] for name in ("dt", "dd")), strict=True))
    assert len(told) == len(DataPolicy.model_fields) + 1
    assert told["Held out share"].startswith("0.25")


def test_numbers_are_written_for_people() -> None:
    assert [count(number) for number in (0, 1234567, 0.12345, 1234.56)] == ["0", "1,234,567", "0.123", "1,234.6"]
    assert [short(number) for number in (7, 999, 1_000, 12_345, 999_600, 5_600_000)] == [
        "7",
        "999",
        "1k",
        "12k",
        "1M",
        "5.6M",
    ]
    assert [share(*pair) for pair in ((0, 0), (1, 10_000), (9_999, 10_000), (1, 3), (5, 100), (100, 100))] == [
        "–", "< 0.1 %", "> 99.9 %", "33 %", "5 %", "100 %",
    ]  # fmt: skip


def test_names_are_cut_by_the_room_that_they_take() -> None:
    assert fitted("short", 11) == "short"
    assert fitted("가나다라마바사아자차카타파하", 11) == "가나다라마바사아자차…"
    assert fitted("a" * 40, 11) == "a" * 18 + "…"
    assert fitted(" \n ", 11) == "(blank)"
    assert name_of(SplitName.HELD_OUT) == "Held out"
    assert name_of("bank_account") == "Bank account"
