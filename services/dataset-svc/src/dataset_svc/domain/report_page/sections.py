"""The sections of the page that show statistics."""

from collections.abc import Mapping, Sequence

from dataset_svc.domain.quality.parts import FLAWS
from dataset_svc.domain.report import QualityReport
from dataset_svc.domain.report_page.charts import (
    Bar,
    Segment,
    bar_chart,
    figure,
    histogram,
    histogram_table,
    stacked_bar,
    table_of,
)
from dataset_svc.domain.report_page.markup import Markup, joined, tag
from dataset_svc.domain.report_page.wording import count, name_of, plural, share
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.statistics.figures import Breakdown, Distribution, Statistics, Term

_BARS = 12
_TERMS = 20
_FLAWS = {flaw.code: flaw.words for flaw in FLAWS}


def section(key: str, title: str, lead: str, *content: str) -> Markup:
    return tag("section", tag("h2", title), tag("p", lead, class_="lead"), *content, id=key)


def cards(*figures: str, two: bool = False) -> Markup:
    return tag("div", *figures, class_="cards two" if two else "cards")


def nothing(text: str) -> Markup:
    return tag("p", text, class_="card nothing")


def splits(report: QualityReport, statistics: Statistics) -> Markup:
    sizes = statistics.splits
    policy = report.data_policy
    wanted = {
        SplitName.TRAIN: max(0.0, 1 - policy.held_out_share_0_1 - policy.validation_share_0_1),
        SplitName.VALIDATION: policy.validation_share_0_1,
        SplitName.HELD_OUT: policy.held_out_share_0_1,
    }
    segments = [Segment(name=name_of(split), look=split.value, value=size) for split, size in sizes.items()]
    rows = [
        (name_of(split), count(size), share(size, statistics.samples), share(wanted[split], 1))
        for split, size in sizes.items()
    ]
    figures = report.splits
    chart = figure(
        "splits",
        "Training, validation and held-out samples",
        joined(stacked_bar(segments, title="Parts of the version"), _legend(sizes)),
        table_of(("Part", "Samples", "Share", "Wanted share"), rows),
        note=f"{plural(figures.remembered_samples, 'sample')} where earlier versions had put their like; "
        f"the rest by hash. Categories that were divided each by itself: {count(figures.strata)}.",
    )
    return section("parts", "Parts", "Samples with like questions are all on one side.", chart)


def lengths(statistics: Statistics) -> Markup:
    charts = [
        figure(
            f"length-{length.part}-{length.unit}",
            f"{name_of(length.part)}, {length.unit}",
            histogram(length.distribution, title=f"{name_of(length.part)}, {length.unit}", unit=length.unit),
            _spread(length.distribution, length.unit),
            note=_summary(length.distribution),
        )
        for length in statistics.lengths
    ]
    lead = "Samples by length. The dashed line is the median; nine samples in ten lie in the shaded band."
    return section("lengths", "Lengths", lead, cards(*charts) if charts else nothing("There are no samples."))


def breakdowns(statistics: Statistics) -> Markup:
    charts = [
        _breakdown("categories", "Categories", statistics.categories, statistics),
        _breakdown("languages", "Languages", statistics.languages, statistics),
        _breakdown("sources", "Where they were learned from", statistics.sources, statistics),
    ]
    for field in statistics.labels:
        note = f"Balance {count(round(field.balance_0_1, 2))} of 1: evenly spread is 1."
        charts.append(_breakdown(f"labels-{field.field}", f"Answers: {field.field}", field.labels, statistics, note))
    if statistics.roles:
        charts.append(_roles(statistics))
    legend = _legend(dict.fromkeys(statistics.splits), figures=False)
    return section(
        "kinds", "Kinds", "Samples by what they are, and the part they are in.", legend, cards(*charts, two=True)
    )


def scores(report: QualityReport, statistics: Statistics) -> Markup:
    parts = [(score.part, score.distribution) for score in statistics.scores]
    charts = [_score(f"score-{part}", name_of(part), distribution) for part, distribution in parts]
    if statistics.weights:
        charts.append(_score("weights", "Weight in training", statistics.weights))
    if report.flaws:
        flaws = {_FLAWS.get(code, code): number for code, number in report.flaws.items()}
        charts.append(kinds_chart("flaws", "What lowers the scores", flaws, "samples"))
    lead = "From 0, poor, to 1, good: what every part of the quality score gave, and what samples weigh."
    return section("scores", "Scores", lead, cards(*charts) if charts else nothing("Nothing was scored."))


def words(statistics: Statistics) -> Markup:
    vocabulary = statistics.vocabulary
    about = "" if not vocabulary.distinct_error_0_1 else f" (± {share(vocabulary.distinct_error_0_1, 1)})"
    lead = (
        f"{count(vocabulary.words)} words, {count(vocabulary.distinct_words)}{about} of them different, after masking. "
        f"Frequencies are counted in {plural(vocabulary.counted_samples, 'sample')}."
    )
    if not vocabulary.frequent_words:
        return section("words", "Words", lead, nothing("There are no words."))
    charts = cards(
        _terms("words", "Most frequent words", vocabulary.frequent_words),
        _terms("pairs", "Most frequent neighbours", vocabulary.frequent_pairs),
        two=True,
    )
    return section("words", "Words", lead, charts)


def kinds_chart(key: str, title: str, found: Mapping[str, int], unit: str) -> Markup:
    """Counts by kind, the most frequent first."""
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    whole = sum(found.values())
    bars = [_plain_bar(name_of(name), number, unit) for name, number in ranked[:_BARS]]
    rows = [(name_of(name), count(number), share(number, whole)) for name, number in ranked]
    table = table_of(("Kind", unit.capitalize(), "Share"), rows)
    return figure(key, title, bar_chart(bars, title=title, whole=whole), table)


def _breakdown(key: str, title: str, breakdown: Breakdown, statistics: Statistics, note: str = "") -> Markup:
    if not breakdown.shown:
        return figure_of_nothing(key, title, "No sample names one.")
    bars = [
        Bar(
            name=named.name if key != "languages" else name_of(named.name),
            segments=tuple(
                Segment(name=name_of(split), look=split.value, value=number) for split, number in named.by_split.items()
            ),
        )
        for named in breakdown.shown[:_BARS]
    ]
    rest = sum(named.samples for named in breakdown.shown[_BARS:]) + breakdown.other_samples
    if rest:
        bars.append(_plain_bar("All others", rest, "samples", look="other"))
    if breakdown.unnamed_samples:
        bars.append(_plain_bar("None", breakdown.unnamed_samples, "samples", look="other"))
    parts = list(statistics.splits)
    rows = [
        (named.name, count(named.samples), *(count(named.by_split.get(part, 0)) for part in parts))
        for named in breakdown.shown
    ]
    table = table_of(("Name", "Samples", *(name_of(part) for part in parts)), rows)
    told = f"{'' if breakdown.all_followed else 'About '}{count(breakdown.distinct)} different. {note}"
    return figure(key, title, bar_chart(bars, title=title, whole=statistics.samples), table, note=told)


def figure_of_nothing(key: str, title: str, told: str) -> Markup:
    return tag("div", tag("h3", title), tag("p", told, class_="note"), class_="card", data_chart=key)


def _roles(statistics: Statistics) -> Markup:
    turns = sum(role.turns for role in statistics.roles)
    bars = [_plain_bar(role.role, role.turns, "turns") for role in statistics.roles]
    rows = [(role.role, count(role.turns), count(role.samples)) for role in statistics.roles]
    drawing = bar_chart(bars, title="Turns by role", whole=turns)
    return figure("roles", "Turns by role", drawing, table_of(("Role", "Turns", "Samples"), rows))


def _terms(key: str, title: str, terms: Sequence[Term]) -> Markup:
    bars = [_plain_bar(term.text, term.count, "times") for term in terms[:_TERMS]]
    rows = [(term.text, count(term.count)) for term in terms]
    drawing = bar_chart(bars, title=title, whole=None)
    return figure(key, title, drawing, table_of(("Term", "Times"), rows))


def _score(key: str, title: str, distribution: Distribution) -> Markup:
    drawing = histogram(distribution, title=title, unit="score")
    return figure(key, title, drawing, _spread(distribution, "score"), note=_summary(distribution))


def _summary(distribution: Distribution) -> str:
    low, middle, high, most = (
        count(round(value, 2)) for value in (distribution.p5, distribution.p50, distribution.p95, distribution.maximum)
    )
    if distribution.minimum == distribution.maximum:
        return f"always {most}"
    return f"median {middle} · 90 % in {low} – {high} · at most {most}"


def _spread(distribution: Distribution, unit: str) -> Markup:
    names = ("samples", "total", "mean", "minimum", "p5", "p50", "p95", "maximum")
    values = distribution.model_dump(include=set(names))
    facts = table_of(("Figure", "Value"), [(name.capitalize(), count(values[name])) for name in names])
    return joined(facts, histogram_table(distribution, unit))


def _plain_bar(name: str, number: int, unit: str, *, look: str = "whole") -> Bar:
    return Bar(name=name, segments=(Segment(name=unit, look=look, value=number),))


def _legend(sizes: Mapping[SplitName, int | None], *, figures: bool = True) -> Markup:
    whole = sum(size or 0 for size in sizes.values())
    items = (
        tag(
            "li",
            tag("i", "", class_=split.value),
            name_of(split),
            tag("span", f" {count(size or 0)} · {share(size or 0, whole)}") if figures else "",
        )
        for split, size in sizes.items()
    )
    return tag("ul", *items, class_="legend")
