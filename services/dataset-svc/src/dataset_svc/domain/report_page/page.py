"""The report of a version as one HTML file that needs nothing else: no script, no font, no network."""

from dataset_svc.domain.report import QualityReport
from dataset_svc.domain.report_page import sections
from dataset_svc.domain.report_page.cases import given_away
from dataset_svc.domain.report_page.charts import ring, table_of
from dataset_svc.domain.report_page.funnel import funnel
from dataset_svc.domain.report_page.markup import Markup, joined, tag
from dataset_svc.domain.report_page.style import STYLE
from dataset_svc.domain.report_page.wording import count, name_of, plural, share, short
from dataset_svc.domain.statistics.figures import LengthPart, LengthUnit, Statistics

_EXAMPLES = 50
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_PARTS = (
    ("funnel", "Checks"),
    ("parts", "Parts"),
    ("lengths", "Lengths"),
    ("kinds", "Kinds"),
    ("scores", "Scores"),
    ("words", "Words"),
    ("personal", "Personal data"),
    ("copies", "Duplicates"),
    ("cases", "Held-out cases"),
    ("bad", "Bad lines"),
    ("recipe", "Recipe"),
)


def render(report: QualityReport, statistics: Statistics, *, title: str) -> str:
    """The page. Holds no text of samples but frequent words and labels; well-formed as HTML and as XML."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Markup(STYLE)),
    )
    main = tag(
        "main",
        _tiles(report, statistics),
        sections.section(
            "funnel", "Checks", "What every check let through, and why it took out what it did.", funnel(report)
        ),
        sections.splits(report, statistics),
        sections.lengths(statistics),
        sections.breakdowns(statistics),
        sections.scores(report, statistics),
        sections.words(statistics),
        _personal_data(report, statistics),
        _duplicates(report, statistics),
        given_away(report),
        _bad_lines(report),
        _recipe(report),
    )
    body = tag("body", _header(report, title), _navigation(), main, _footer())
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _header(report: QualityReport, title: str) -> Markup:
    accepted = not report.rejected_because
    verdict = tag(
        "span",
        "Fit to train on" if accepted else "Rejected",
        class_=f"verdict {'accepted' if accepted else 'rejected'}",
    )
    because = tag("ul", *(tag("li", reason) for reason in report.rejected_because), class_="because")
    facts = (("Dataset", report.dataset_name), ("Task", report.task_id), ("Request", report.request_id))
    told = tag(
        "div",
        tag("h1", tag("bdi", title)),
        tag("p", *(tag("span", f"{name} ", tag("b", tag("bdi", value))) for name, value in facts), class_="facts"),
        verdict,
        "" if accepted else because,
    )
    kept = report.kept / report.lines if report.lines else 0.0
    return tag("header", tag("div", told, ring(kept, title="Samples kept of all lines")))


def _navigation() -> Markup:
    return tag("nav", tag("div", *(tag("a", name, href=f"#{key}") for key, name in _PARTS)), aria_label="Sections")


def _tiles(report: QualityReport, statistics: Statistics) -> Markup:
    tokens = _tokens(statistics)
    tiles = [
        ("Lines read", count(report.lines), ""),
        ("Samples kept", count(report.kept), share(report.kept, report.lines)),
        ("Tokens", short(tokens) if tokens else "–", "" if tokens else "not counted"),
        ("Different words", short(statistics.vocabulary.distinct_words), f"of {short(statistics.vocabulary.words)}"),
        ("Duplicates", count(len(report.duplicates)), share(len(report.duplicates), report.lines)),
        ("With personal data", count(report.samples_with_personal_data), name_of(report.data_policy.masking)),
    ]
    return tag(
        "div",
        *(
            tag("div", tag("span", name), tag("b", value), tag("span", more), class_="tile")
            for name, value, more in tiles
        ),
        class_="tiles",
    )


def _tokens(statistics: Statistics) -> float:
    """Of whole conversations if these were counted, else of questions and answers."""
    totals = {
        length.part: length.distribution.total for length in statistics.lengths if length.unit is LengthUnit.TOKENS
    }
    return totals.get(LengthPart.CONVERSATION) or sum(totals.values())


def _personal_data(report: QualityReport, statistics: Statistics) -> Markup:
    found = statistics.personal_data or {kind.value: number for kind, number in report.personal_data_found.items()}
    lead = (
        f"{plural(sum(found.values()), 'finding')} in {plural(report.samples_with_personal_data, 'sample')}, "
        f"counted before the policy “{name_of(report.data_policy.masking)}” was applied."
    )
    chart = (
        sections.cards(sections.kinds_chart("personal-data", "Findings by kind", found, "findings"), two=True)
        if found
        else sections.nothing("None was found.")
    )
    return sections.section("personal", "Personal data", lead, chart)


def _duplicates(report: QualityReport, statistics: Statistics) -> Markup:
    lead = f"{plural(len(report.duplicates), 'sample')} went because another one says the same and stays."
    if not report.duplicates and not statistics.duplicates:
        return sections.section("copies", "Duplicates", lead, sections.nothing("There were none."))
    kinds = statistics.duplicates or _by_check(report)
    rows = [
        (
            duplicate.dropped,
            duplicate.kept,
            name_of(duplicate.check),
            duplicate.why,
            _similarity(duplicate.input_similarity_0_1),
            _similarity(duplicate.answer_similarity_0_1),
        )
        for duplicate in report.duplicates[:_EXAMPLES]
    ]
    heads = ("Went", "Stays", "Check", "Why", "Question alike", "Answer alike")
    examples = tag(
        "div",
        tag("h3", _first("duplicate", len(report.duplicates))),
        tag("p", "Samples by id; alike is the Jaccard index from 0 to 1.", class_="note"),
        table_of(heads, rows, figures_from=4),
        class_="card",
    )
    chart = sections.cards(sections.kinds_chart("duplicates", "Duplicates by kind", kinds, "samples"), two=True)
    return sections.section("copies", "Duplicates", lead, chart, examples)


def _by_check(report: QualityReport) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for duplicate in report.duplicates:
        kinds[duplicate.check.value] = kinds.get(duplicate.check.value, 0) + 1
    return kinds


def _bad_lines(report: QualityReport) -> Markup:
    lead = f"{plural(len(report.bad_lines), 'line')} could not be read as a sample. What they said is not kept."
    if not report.bad_lines:
        return sections.section("bad", "Bad lines", lead, sections.nothing("Every line is a sample."))
    rows = [(count(bad.line), bad.field, bad.reason) for bad in report.bad_lines[:_EXAMPLES]]
    table = table_of(("Line", "Field", "Reason"), rows, figures_from=3)
    card = tag("div", tag("h3", _first("bad line", len(report.bad_lines))), table, class_="card")
    return sections.section("bad", "Bad lines", lead, card)


def _recipe(report: QualityReport) -> Markup:
    policy = report.data_policy
    fields = type(policy).model_fields.items()
    facts = [
        ("Lines promised", "not said" if report.expected_lines is None else count(report.expected_lines), ""),
        *(
            (name_of(name.removesuffix("_0_1")), str(getattr(policy, name)), field.description or "")
            for name, field in fields
        ),
    ]
    told = (
        joined(tag("dt", name), tag("dd", tag("bdi", value), tag("small", more) if more else ""))
        for name, value, more in facts
    )
    card = tag("div", tag("dl", *told), class_="card")
    return sections.section(
        "recipe", "Recipe", "The policy that was applied: the same lines give the same version.", card
    )


def _footer() -> Markup:
    return tag(
        "footer",
        tag("p", "Percentiles are by nearest rank. Characters are Unicode code points. Words are rows of letters, digits "
            "and marks. Tokens are those of the task's own tokenizer, without what a chat template adds."),
        tag("p", "This page loads nothing from anywhere: it can be kept, sent and printed as it is."),
    )  # fmt: skip


def _first(noun: str, number: int) -> str:
    return plural(number, noun) if number <= _EXAMPLES else f"The first {_EXAMPLES} of {plural(number, noun)}"


def _similarity(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
