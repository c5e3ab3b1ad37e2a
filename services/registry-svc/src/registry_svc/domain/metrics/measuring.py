"""Every figure of an evaluation: of each variant alone with its interval, and of the two against each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from registry_svc.domain.metrics.running import perplexity, quantile, tokens_per_s
from registry_svc.domain.metrics.structured import label_of, macro_f1
from registry_svc.domain.paired import Interval, agreement, bootstrap_mean, mcnemar_exact, newcombe_paired, wilson
from registry_svc.domain.scoring import CaseAnswer

LESS_IS_BETTER: Final = frozenset(
    {"latency_mean_ms", "latency_p50_ms", "latency_p95_ms", "tokens_per_answer", "perplexity"}
)
NATS, TOKENS = (
    "expected_nats",
    "expected_tokens",
)  # of the expected answer under the variant; perplexity is made of them
JUDGE: Final = "judge_win_rate"  # of the candidate: 1 won in both orders, 0 lost in both, else 0.5
_HELPERS: Final = frozenset({NATS, TOKENS})
_SHARES: Final = frozenset({"accuracy", "schema_valid", "exact_match"})
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_SEED: Final = 17  # of resampling: the same answers always have the same interval


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One metric of one variant.

    Attributes:
        value: None if it cannot be computed, which `why_not` explains.
        lower: End of its interval; None, as `upper`, for a metric without one.
    """

    name: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    cases: int = 0
    why_not: str | None = None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Candidate less champion in one metric, on the same cases.

    Attributes:
        p_value: Exact McNemar test, for shares of right answers.
    """

    name: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    method: str = ""
    p_value: float | None = None
    why_not: str | None = None


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """Every figure of an evaluation.

    Attributes:
        champion: Empty, as `differences`, when a version was measured alone.
        confidence: Of every interval.
    """

    candidate: tuple[Measured, ...]
    champion: tuple[Measured, ...] = ()
    differences: tuple[Difference, ...] = ()
    confidence: float = 0.95

    def of_candidate(self, name: str) -> Measured:
        for measured in self.candidate:
            if measured.name == name:
                return measured
        known = ", ".join(measured.name for measured in self.candidate)
        return Measured(name=name, value=None, why_not=f"there is no such metric here, only {known or 'none'}")


def measure(
    candidate: Sequence[CaseAnswer],
    champion: Sequence[CaseAnswer] = (),
    *,
    answer_field: str | None = None,
    confidence: float = 0.95,
    not_measured: Mapping[str, str] = _NOTHING,
) -> Measurements:
    """Computes what the answers to the same cases give.

    Args:
        answer_field: Field of a structured answer that names its class.
        not_measured: Metrics that the candidate should have and has not, with the reason.
    """
    missing = tuple(Measured(name=name, value=None, why_not=why) for name, why in not_measured.items())
    return Measurements(
        candidate=(*measure_variant(candidate, answer_field=answer_field, confidence=confidence), *missing),
        champion=measure_variant(champion, answer_field=answer_field, confidence=confidence) if champion else (),
        differences=_differences(candidate, champion, confidence) if champion else (),
        confidence=confidence,
    )


def measure_variant(
    answers: Sequence[CaseAnswer], *, answer_field: str | None = None, confidence: float = 0.95
) -> tuple[Measured, ...]:
    """Every metric of one variant, those of every task first."""
    if not answers:
        return ()
    found = [_mean(answers, name, confidence) for name in per_case_names(answers)]
    found += [_macro_f1(answers, answer_field), *_times(answers), *_tokens(answers, confidence), _perplexity(answers)]
    return tuple(replace(measured, cases=len(answers)) for measured in found)


def per_case_names(answers: Sequence[CaseAnswer]) -> tuple[str, ...]:
    """Metrics that have a value for every single case."""
    others = {name: None for answer in answers for name in answer.scores if name not in _HELPERS}
    return ("accuracy", "schema_valid", *others)


def case_values(answers: Sequence[CaseAnswer], name: str) -> dict[int, float] | str:
    """A metric case by case, by the number of the case; a text that says why it cannot be computed.

    A field that only some expected answers have counts in those cases alone.
    """
    if name == "accuracy":
        return {answer.number: float(answer.correct) for answer in answers}
    if name == "schema_valid":
        return {answer.number: float(answer.schema_valid) for answer in answers}
    known = {answer.number: answer.scores[name] for answer in answers if name in answer.scores}
    values = {number: value for number, value in known.items() if value is not None}
    if not known:
        return f"{name} was not measured on any case"
    if len(values) < len(known):
        return f"{name} could not be computed on {len(known) - len(values)} of {len(known)} cases"
    return values


def difference(
    candidate: Sequence[CaseAnswer], champion: Sequence[CaseAnswer], name: str, *, confidence: float
) -> Difference:
    """Candidate less champion in a metric that every case has."""
    ours, theirs = case_values(candidate, name), case_values(champion, name)
    if isinstance(ours, str) or isinstance(theirs, str):
        why = ours if isinstance(ours, str) else str(theirs)
        return Difference(name=name, value=None, why_not=why)
    numbers = sorted(ours.keys() & theirs.keys())
    if not numbers or ours.keys() != theirs.keys():
        return Difference(name=name, value=None, why_not=f"the variants have no {name} of the same cases")
    pairs = [(ours[number], theirs[number]) for number in numbers]
    changes = [one - other for one, other in pairs]
    value = sum(changes) / len(changes)
    if _is_share(name):
        counts = agreement([bool(one) for one, _ in pairs], [bool(other) for _, other in pairs])
        lower, upper = _ends(newcombe_paired(counts, confidence=confidence))
        p_value = mcnemar_exact(counts.only_first, counts.only_second)
        method = "Newcombe 1998, method 10"
        return Difference(name=name, value=value, lower=lower, upper=upper, method=method, p_value=p_value)
    lower, upper = _ends(bootstrap_mean(changes, confidence=confidence, seed=_SEED))
    return Difference(name=name, value=value, lower=lower, upper=upper, method="paired bootstrap (BCa)")


def _differences(
    candidate: Sequence[CaseAnswer], champion: Sequence[CaseAnswer], confidence: float
) -> tuple[Difference, ...]:
    # the judge has compared the two already
    names = [name for name in per_case_names(candidate) if name != JUDGE]
    return tuple(difference(candidate, champion, name, confidence=confidence) for name in names)


def _is_share(name: str) -> bool:
    return name in _SHARES or name.startswith("field.")


def _mean(answers: Sequence[CaseAnswer], name: str, confidence: float) -> Measured:
    values = case_values(answers, name)
    if isinstance(values, str):
        return Measured(name=name, value=None, why_not=values)
    return _mean_of(name, list(values.values()), confidence)


def _mean_of(name: str, values: Sequence[float], confidence: float) -> Measured:
    if _is_share(name):
        interval = wilson(round(sum(values)), len(values), confidence=confidence)
    else:
        interval = bootstrap_mean(values, confidence=confidence, seed=_SEED)
    lower, upper = _ends(interval)
    return Measured(name=name, value=sum(values) / len(values), lower=lower, upper=upper)


def _macro_f1(answers: Sequence[CaseAnswer], field: str | None) -> Measured:
    expected = [label_of(answer.expected, field=field) for answer in answers]
    given = [label_of(answer.answer or "", field=field) for answer in answers]
    classes = len(set(expected))
    if 2 * classes > len(expected):
        why = f"{classes} different expected answers in {len(expected)} cases are no classes"
        return Measured(name="macro_f1", value=None, why_not=why)
    return Measured(name="macro_f1", value=macro_f1(given, expected))


def _times(answers: Sequence[CaseAnswer]) -> list[Measured]:
    times = [answer.latency_ms for answer in answers]
    return [
        Measured(name="latency_mean_ms", value=sum(times) / len(times)),
        Measured(name="latency_p50_ms", value=quantile(times, 0.5)),
        Measured(name="latency_p95_ms", value=quantile(times, 0.95)),
    ]


def _tokens(answers: Sequence[CaseAnswer], confidence: float) -> list[Measured]:
    counted = [(answer.output_tokens, answer.latency_ms) for answer in answers if answer.output_tokens is not None]
    answered = sum(answer.answer is not None for answer in answers)
    if not counted or len(counted) < answered:
        why = f"the server counted the tokens of {len(counted)} of {answered} answers"
        return [Measured(name=name, value=None, why_not=why) for name in ("tokens_per_answer", "tokens_per_s")]
    tokens, times = [count for count, _ in counted], [time for _, time in counted]
    speed = tokens_per_s(tokens, times)
    why = None if speed is not None else "no time went by"
    return [
        _mean_of("tokens_per_answer", tokens, confidence),
        Measured(name="tokens_per_s", value=speed, why_not=why),
    ]


def _perplexity(answers: Sequence[CaseAnswer]) -> Measured:
    nats, tokens = case_values(answers, NATS), case_values(answers, TOKENS)
    if isinstance(nats, str) or isinstance(tokens, str):
        why = "the likelihood of the expected answers is not known for every case"
        return Measured(name="perplexity", value=None, why_not=why)
    value = perplexity(list(nats.values()), list(tokens.values()))
    return Measured(name="perplexity", value=value, why_not=None if value is not None else "it is beyond all numbers")


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (None, None) if interval is None else (interval.lower, interval.upper)
