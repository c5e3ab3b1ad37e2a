"""The way from lines to samples: what every check let through, what it took out, and for what reasons."""

from dataset_svc.domain.report import CheckOutcome, QualityReport
from dataset_svc.domain.report_page.charts import figure, table_of
from dataset_svc.domain.report_page.markup import Markup, joined, tag
from dataset_svc.domain.report_page.wording import count, fitted, name_of, plural, share

_LABEL, _ROOM, _WIDE, _ROW = 210, 560, 1060, 62
_REASONS = 2


def funnel(report: QualityReport) -> Markup:
    drawn = [_row("Lines read", 0, report.lines, report.lines)]
    drawn += [_check(check, place, report.lines) for place, check in enumerate(report.checks, start=1)]
    told = f"{count(report.kept)} of {plural(report.lines, 'line')} were kept"
    height = _ROW * (len(report.checks) + 1) - 8
    drawing = tag(
        "svg",
        tag("title", "From lines to samples"),
        tag("desc", told),
        *drawn,
        viewBox=f"0 0 {_WIDE} {height}",
        role="img",
        aria_label=f"From lines to samples: {told}",
    )
    return figure(
        "funnel",
        "From lines to samples",
        tag("div", drawing, class_="wide-chart"),
        _table(report),
        note=f"{told} ({share(report.kept, report.lines)}). Blue went on to the next check, red went.",
    )


def _check(check: CheckOutcome, place: int, lines: int) -> Markup:
    y = place * _ROW
    left = _width(check.passed, lines)
    came = check.passed + check.dropped
    gone = max(_width(came, lines) - left, 3.0) if check.dropped else 0.0
    flow = f"M{_LABEL} {y - _ROW + 30}H{_LABEL + _width(came, lines):.6g}V{y}H{_LABEL}Z"
    lost = joined(
        tag(
            "rect",
            tag("title", f"{name_of(check.check)}: {count(check.dropped)} went"),
            x=_LABEL + left,
            y=y,
            width=gone,
            height=30,
            rx=3,
            class_="gone",
            data_check=check.check.value,
            data_value=check.dropped,
            data_part="dropped",
        ),
        tag("text", f"−{count(check.dropped)}  ({share(check.dropped, came)})", x=_WIDE - 170, y=y + 20, class_="lost"),
        tag("text", _reasons(check), x=_LABEL, y=y + 46, class_="why"),
    )
    row = _row(name_of(check.check), y, check.passed, lines, key=check.check.value)
    return joined(tag("path", d=flow, class_="flow"), row, lost if check.dropped else "")


def _row(name: str, y: int, left: int, lines: int, *, key: str = "lines") -> Markup:
    return joined(
        tag("text", name, x=_LABEL - 16, y=y + 20, text_anchor="end", class_="check"),
        tag(
            "rect",
            tag("title", f"{name}: {count(left)} left"),
            x=_LABEL,
            y=y,
            width=_width(left, lines),
            height=30,
            rx=3,
            class_="train",
            data_check=key,
            data_value=left,
            data_part="passed",
        ),
        tag("text", count(left), x=_LABEL + _ROOM + 14, y=y + 20, class_="left"),
    )


def _width(samples: int, lines: int) -> float:
    return samples / lines * _ROOM if lines else 0.0


def _reasons(check: CheckOutcome) -> str:
    ranked = sorted(check.reasons.items(), key=lambda reason: (-reason[1], reason[0]))
    told = [f"{fitted(reason, 30)} ({count(times)})" for reason, times in ranked[:_REASONS]]
    more = len(ranked) - _REASONS
    return "; ".join([*told, f"{plural(more, 'more reason')}"] if more > 0 else told)


def _table(report: QualityReport) -> Markup:
    rows = [("Lines read", "", count(report.lines), "")]
    for check in report.checks:
        rows.append((name_of(check.check), "", count(check.passed), count(check.dropped)))
        ranked = sorted(check.reasons.items(), key=lambda reason: (-reason[1], reason[0]))
        rows += [("", reason, "", count(times)) for reason, times in ranked[:50]]
    return table_of(("Check", "Reason", "Went on", "Went"), rows, figures_from=2)
