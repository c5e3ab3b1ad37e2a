"""The section on held-out cases: what training samples were compared with, and which ones gave a case away."""

from dataset_svc.domain.report import CaseSource, GivenAway, QualityReport
from dataset_svc.domain.report_page.charts import table_of
from dataset_svc.domain.report_page.markup import Markup, tag
from dataset_svc.domain.report_page.sections import nothing, section
from dataset_svc.domain.report_page.wording import count, plural

_SHOWN = 50


def given_away(report: QualityReport) -> Markup:
    found = report.contamination
    compared = sum(source.cases for source in found.sources)
    lead = (
        f"{plural(found.samples, 'sample')} went from training and validation because the question gives away one of "
        f"{plural(compared, 'case')} that models of the task are measured by."
    )
    if not found.sources:
        return section("cases", "Held-out cases", lead, nothing("There was nothing to compare with."))
    heads = ("Dataset", "Version", "Not compared, because", "Compared", "Not compared")
    sources = tag(
        "div",
        tag("h3", "Where the cases came from"),
        table_of(heads, [_source(source) for source in found.sources[:_SHOWN]], figures_from=3),
        class_="card",
    )
    return section("cases", "Held-out cases", lead, sources, _examples(report) if found.examples else "")


def _examples(report: QualityReport) -> Markup:
    found = report.contamination
    shown = found.examples[:_SHOWN]
    title = (
        f"The first {len(shown)} of {plural(found.samples, 'sample')}" if found.samples > len(shown) else "All of them"
    )
    heads = ("Went", "Gives away", "Of dataset", "Version", "Why", "Questions alike")
    return tag(
        "div",
        tag("h3", title),
        tag("p", "Samples by id; alike is the Jaccard index from 0 to 1.", class_="note"),
        table_of(heads, [_example(one) for one in shown], figures_from=5),
        class_="card",
    )


def _source(source: CaseSource) -> tuple[str, ...]:
    left_out = count(source.left_out_cases) if source.left_out_cases else ""
    return (source.dataset_name, _version(source.version), source.why_left_out, count(source.cases), left_out)


def _example(one: GivenAway) -> tuple[str, ...]:
    case = "a question of an earlier version" if one.case is None else one.case
    alike = "–" if one.likeness_0_1 is None else f"{one.likeness_0_1:.2f}"
    return (one.dropped, case, one.dataset_name, _version(one.version), one.why, alike)


def _version(number: int | None) -> str:
    return "this one and earlier ones" if number is None else count(number)
