"""How numbers and names are written on the page."""

import unicodedata
from enum import StrEnum

_NAMES = {
    "readable": "Readable",
    "not_erased": "Not erased",
    "personal_data": "Personal data",
    "conflicting_answer": "One answer per question",
    "exact_duplicate": "No exact copy",
    "near_duplicate": "No near copy",
    "contamination": "No case given away",
    "held_out": "Held out",
    "ip_address": "IP address",
    "ko": "Korean",
    "en": "English",
}


def count(number: float) -> str:
    """A whole number with thousands apart, or up to three digits of a fraction."""
    if float(number).is_integer():
        return f"{int(number):,}"
    return f"{number:,.1f}" if abs(number) >= 100 else f"{number:.3g}"


def short(number: float) -> str:
    """At most four signs: 950, 1.2k, 34k, 5.6M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit * 0.9995:
            scaled = number / limit
            return f"{scaled:.1f}".removesuffix(".0") + unit if scaled < 9.95 else f"{scaled:.0f}{unit}"
    return f"{number:.0f}" if float(number).is_integer() else f"{number:.2g}"


def share(part: float, whole: float) -> str:
    """Percent, with a decimal below ten; what is some but little is never shown as nothing, nor most as all."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f}".removesuffix(".0") + " %" if percent < 10 or percent > 90 else f"{percent:.0f} %"


def plural(number: int, noun: str) -> str:
    """For nouns that take an s."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def name_of(key: str) -> str:
    """A key of ours for people; what is not ours stays as it is."""
    return _NAMES.get(key) or (key.value if isinstance(key, StrEnum) else key).replace("_", " ").capitalize()


def fitted(text: str, width_em: float) -> str:
    """The beginning that fits: Korean and other wide signs take 1 em, all others about 0.56."""
    used = 0.0
    flat = " ".join(text.split()) or "(blank)"
    for place, sign in enumerate(flat):
        used += 1.0 if unicodedata.east_asian_width(sign) in "WF" else 0.56
        if used > width_em:
            return flat[: max(1, place - 1)].rstrip() + "…"
    return flat
