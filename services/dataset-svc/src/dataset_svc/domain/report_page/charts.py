"""Charts as SVG: every bar carries its figure as data, every chart a title and a table with the same figures."""

from collections.abc import Sequence
from dataclasses import dataclass

from dataset_svc.domain.report_page.markup import Markup, joined, tag
from dataset_svc.domain.report_page.wording import count, fitted, share, short
from dataset_svc.domain.statistics.figures import Bin, Distribution

_WIDE, _HIGH = 360, 168
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 352, 12, 134
_ROW = 26
_TICKS = 5
_WIDEST_COLUMN = 56
_BARS_WIDE, _LABEL, _FIGURE = 520, 150, 112
_SPLIT_BAR_WIDE = 1000


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A piece of a bar: `look` is the class that gives it its colour."""

    name: str
    look: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A named bar of one or more pieces."""

    name: str
    segments: tuple[Segment, ...]

    @property
    def total(self) -> float:
        return sum(segment.value for segment in self.segments)


def figure(key: str, title: str, drawing: str, table: str, *, note: str = "") -> Markup:
    """A chart with its title, a line that says what to see in it, and its figures as a table."""
    return tag(
        "figure",
        tag("figcaption", tag("h3", title), tag("p", note, class_="note") if note else ""),
        drawing,
        tag("details", tag("summary", "Figures"), table),
        class_="card",
        data_chart=key,
    )


def table_of(heads: Sequence[str], rows: Sequence[Sequence[str]], *, figures_from: int = 1) -> Markup:
    """A table; columns from `figures_from` on are figures and stand to the right."""
    looks = ["figure" if place >= figures_from else None for place in range(len(heads))]
    head = tag("tr", *(tag("th", text, class_=look, scope="col") for text, look in zip(heads, looks, strict=True)))
    body = (
        tag("tr", *(tag("td", tag("bdi", text), class_=look) for text, look in zip(row, looks, strict=True)))
        for row in rows
    )
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="scroll", tabindex=0)


def histogram(distribution: Distribution, *, title: str, unit: str) -> Markup:
    """Bars by bin, the middle 90 % shaded, the median as a line."""
    bins = distribution.bins
    most = _round_up(max(bar.samples for bar in bins))
    step = min((_RIGHT - _LEFT) / len(bins), _WIDEST_COLUMN)
    band = [_place(bins, value) * step + _LEFT for value in (distribution.p5, distribution.p50, distribution.p95)]
    return _svg(
        (_WIDE, _HIGH),
        title,
        f"{count(distribution.samples)} samples; median {count(distribution.p50)} {unit}",
        tag("rect", x=band[0], y=_TOP, width=max(1.0, band[2] - band[0]), height=_BOTTOM - _TOP, class_="middle"),
        *_rules(most),
        *(_column(bar, place, step, most, unit) for place, bar in enumerate(bins)),
        tag("line", x1=band[1], x2=band[1], y1=_TOP, y2=_BOTTOM, class_="median"),
        *_bin_labels(bins, step),
        tag("text", unit, x=(_LEFT + _RIGHT) / 2, y=_HIGH - 3, text_anchor="middle", class_="axis"),
    )


def histogram_table(distribution: Distribution, unit: str) -> Markup:
    rows = [(_range(bar), count(bar.samples)) for bar in distribution.bins]
    return table_of((unit.capitalize(), "Samples"), rows)


def bar_chart(bars: Sequence[Bar], *, title: str, whole: float | None) -> Markup:
    """Lying bars; `whole` is what shares are of, None to tell none."""
    longest = max((bar.total for bar in bars), default=0) or 1
    room = _BARS_WIDE - _LABEL - _FIGURE
    drawn: list[Markup] = []
    for place, bar in enumerate(bars):
        y = place * _ROW
        drawn.append(_label(bar.name, y))
        left = float(_LABEL)
        for segment in bar.segments:
            width = segment.value / longest * room
            drawn.append(_piece(bar, segment, left, y, width))
            left += width
        text = count(bar.total) if whole is None else f"{count(bar.total)} · {share(bar.total, whole)}"
        drawn.append(tag("text", text, x=left + 6, y=y + 17, class_="value"))
    return _svg((_BARS_WIDE, max(1, len(bars)) * _ROW), title, f"{len(bars)} bars", *drawn)


def stacked_bar(segments: Sequence[Segment], *, title: str) -> Markup:
    """One bar that shows how a whole is divided."""
    whole = sum(segment.value for segment in segments) or 1
    left = 0.0
    drawn: list[Markup] = []
    bar = Bar(name=title, segments=tuple(segments))
    for segment in segments:
        width = segment.value / whole * _SPLIT_BAR_WIDE
        drawn.append(
            tag(
                "rect",
                _tip(f"{segment.name}: {count(segment.value)} ({share(segment.value, bar.total)})"),
                x=left,
                y=0,
                width=max(0.0, width - 2),
                height=40,
                rx=4,
                class_=segment.look,
                data_name=segment.name,
                data_value=segment.value,
            )
        )
        left += width
    return _svg((_SPLIT_BAR_WIDE, 40), title, ", ".join(f"{s.name} {count(s.value)}" for s in segments), *drawn)


def ring(share_0_1: float, *, title: str) -> Markup:
    """How much of a whole is left, as a ring."""
    around = 2 * 3.14159265 * 52
    return _svg(
        (132, 132),
        title,
        share(share_0_1, 1),
        tag("circle", cx=66, cy=66, r=52, class_="ring-rest"),
        tag(
            "circle",
            cx=66,
            cy=66,
            r=52,
            class_="ring",
            stroke_dasharray=f"{around * share_0_1:.2f} {around:.2f}",
            transform="rotate(-90 66 66)",
            data_value=share_0_1,
        ),
        tag("text", share(share_0_1, 1), x=66, y=70, text_anchor="middle", class_="ring-value"),
        tag("text", "kept", x=66, y=88, text_anchor="middle", class_="axis"),
    )


def _svg(size: tuple[int, int], title: str, told: str, *drawn: str) -> Markup:
    described = joined(tag("title", title), tag("desc", told))
    return tag("svg", described, *drawn, viewBox=f"0 0 {size[0]} {size[1]}", role="img", aria_label=f"{title}: {told}")


def _tip(text: str) -> Markup:
    return tag("title", text)


def _label(name: str, y: float) -> Markup:
    text = fitted(name, _LABEL / 12.5 - 1)
    return tag("text", _tip(name), text, x=_LABEL - 8, y=y + 17, text_anchor="end", class_="label")


def _piece(bar: Bar, segment: Segment, x: float, y: float, width: float) -> Markup:
    return tag(
        "rect",
        _tip(f"{bar.name}: {count(segment.value)} {segment.name}"),
        x=x,
        y=y + 4,
        width=max(width, 1.5 if segment.value else 0.0),
        height=_ROW - 8,
        rx=2,
        class_=segment.look,
        data_name=bar.name,
        data_part=segment.name,
        data_value=segment.value,
    )


def _column(bar: Bin, place: int, step: float, most: int, unit: str) -> Markup:
    height = bar.samples / most * (_BOTTOM - _TOP)
    height = max(height, 1.5) if bar.samples else 0.0
    return tag(
        "rect",
        _tip(f"{_range(bar)} {unit}: {count(bar.samples)} samples"),
        x=_LEFT + place * step + 0.75,
        y=_BOTTOM - height,
        width=max(step - 1.5, 1.0),
        height=height,
        rx=1.5,
        class_="bar",
        data_first=bar.first,
        data_last=bar.last,
        data_value=bar.samples,
    )


def _rules(most: int) -> list[Markup]:
    drawn: list[Markup] = []
    for part in (0, 1, 2):
        y = _BOTTOM - (_BOTTOM - _TOP) * part / 2
        drawn.append(tag("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="rule"))
        if part != 1 or most > 1:
            text = short(most * part / 2)
            drawn.append(tag("text", text, x=_LEFT - 6, y=y + 4, text_anchor="end", class_="axis"))
    return drawn


def _bin_labels(bins: Sequence[Bin], step: float) -> list[Markup]:
    """Where some bins begin, and where the last one ends; if that is wider than the others it holds all from there on."""
    last = len(bins) - 1
    single = bins[0].first == bins[0].last
    open_ended = last > 0 and bins[last].last - bins[last].first > 1.5 * (bins[0].last - bins[0].first) + 0.001
    each = -(-len(bins) // _TICKS)
    marks = [
        (place + (0.5 if single else 0.0), short(bar.first))
        for place, bar in enumerate(bins)
        if place % each == 0 and (single or place <= last - 0.6 * each)
    ]
    if open_ended:
        room = max(1.0, 0.6 * each)
        marks = [mark for mark in marks if mark[0] <= last + 0.5 - room] + [(last + 0.5, f"{short(bins[last].first)}+")]
    elif not single:
        marks.append((last + 1.0, short(bins[last].last)))
    return [
        tag("text", text, x=_LEFT + place * step, y=_BOTTOM + 15, text_anchor="middle", class_="axis")
        for place, text in marks
    ]


def _place(bins: Sequence[Bin], value: float) -> float:
    """Where on the axis a value lies, in bins from the left."""
    for place, bar in enumerate(bins):
        if value <= bar.last:
            width = bar.last - bar.first
            return place + ((value - bar.first) / width if width else 0.5)
    return float(len(bins))


def _range(bar: Bin) -> str:
    return count(bar.first) if bar.first == bar.last else f"{count(bar.first)} – {count(bar.last)}"


def _round_up(number: int) -> int:
    """The next of 1, 2, 4, 5, 6, 8 and 10 times a power of ten, so that half of it is a round number too."""
    power = 10 ** max(0, len(str(number)) - 1)
    return next(digit * power for digit in (1, 2, 4, 5, 6, 8, 10) if digit * power >= number)
