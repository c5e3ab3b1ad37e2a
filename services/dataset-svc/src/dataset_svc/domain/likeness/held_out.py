"""Questions that models of a task are measured by, and the samples that give them away, from which none may learn."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np

from dataset_svc.domain.candidates import Candidates, Rows
from dataset_svc.domain.likeness.contamination import CaseIndex, Contaminated
from dataset_svc.domain.likeness.minhash import packed, taken
from dataset_svc.domain.report import CaseSource, Contamination, GivenAway
from dataset_svc.domain.samples import SplitName

_MOST_CASES: Final = 200_000
_MOST_CHARACTERS: Final = 64 << 20  # an index of so many takes about 300 MB
_TOO_MANY: Final = "there are more cases than a build can compare with"
_COMMON_ROWS: Final = 10  # as in GPT-3's decontamination
_COMMON_0_1: Final = 0.02  # of a small set's rows
_EXAMPLES: Final = 1000


@dataclass(frozen=True, kw_only=True)
class CaseVersion:
    """A version whose held-out part models are measured by."""

    dataset_name: str
    number: int
    version_id: str


@dataclass(frozen=True, kw_only=True)
class Cases:
    """Questions that were held out together.

    Attributes:
        version: None for the version that is being built, and those before it.
        sample_ids: Of the questions; None where only the question is remembered.
        left_out: Cases that nothing will be compared with, and why.
    """

    version: CaseVersion | None
    sample_ids: tuple[str | None, ...]
    questions: tuple[str, ...]
    left_out: int = 0
    why_left_out: str = ""


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """Parts without what gives a case away, and what went.

    Attributes:
        reasons: Samples that went, by reason.
    """

    parts: dict[SplitName, Rows]
    reasons: Counter[str]
    contamination: Contamination


def own_cases(candidates: Candidates, rows: Rows, earlier: Iterable[str] = ()) -> Cases:
    """What a version holds out itself.

    Args:
        earlier: Questions that earlier versions of its dataset held out.
    """
    held_out = candidates.by_id(rows)
    questions = candidates.questions_of(held_out)
    remembered = set(earlier).difference(questions)
    ids = [*(candidates.sample_ids[row] for row in held_out.tolist()), *(None for _ in remembered)]
    questions += sorted(remembered)
    fit, characters = 0, 0
    for question in questions[:_MOST_CASES]:
        characters += len(question)
        if characters > _MOST_CHARACTERS:
            break
        fit += 1
    left_out = len(questions) - fit
    return Cases(
        version=None,
        sample_ids=tuple(ids[:fit]),
        questions=tuple(questions[:fit]),
        left_out=left_out,
        why_left_out=_TOO_MANY if left_out else "",
    )


def without_giveaways(
    candidates: Candidates,
    parts: Mapping[SplitName, Rows],
    sources: Sequence[Cases],
    *,
    dataset_name: str,
    threshold_0_1: float,
    threads: int = 1,
) -> Cleaned:
    """Takes the samples out of training and validation that give away a case of this version or of another dataset.

    Only questions are compared, and never system prompts. What this version holds out is compared by long passages
    only, for samples with like questions were put on its side before.

    Args:
        sources: This version's own cases first, then those of the newest versions of other datasets of the task.
        threshold_0_1: Jaccard index from which on questions are alike.
    """
    learned = np.concatenate([rows for name, rows in parts.items() if name is not SplitName.HELD_OUT])
    found = _compared(candidates, learned, sources, threshold_0_1=threshold_0_1, threads=threads)
    gone = learned[[one.row for one in found]] if found else learned[:0]
    told = {candidates.sample_ids[row]: one for row, one in zip(gone.tolist(), found, strict=True)}
    firsts = [0, *accumulate(len(source.questions) for source in sources)]
    given_away = (
        _given_away(sample_id, told[sample_id], sources, firsts, dataset_name) for sample_id in sorted(told)[:_EXAMPLES]
    )
    return Cleaned(
        parts={name: rows[~np.isin(rows, gone)] for name, rows in parts.items()},
        reasons=Counter(str(one.overlap) for one in found),
        contamination=Contamination(
            sources=tuple(_as_source(source, dataset_name) for source in sources),
            samples=len(found),
            examples=tuple(given_away),
        ),
    )


def versions_compared_with(sources: Iterable[Cases]) -> tuple[str, ...]:
    """Ids of the versions that gave cases."""
    return tuple(one.version.version_id for one in sources if one.version is not None and one.questions)


def _compared(
    candidates: Candidates, learned: Rows, sources: Sequence[Cases], *, threshold_0_1: float, threads: int
) -> tuple[Contaminated, ...]:
    questions = [question for source in sources for question in source.questions]
    if not questions or not len(learned):
        return ()
    index = CaseIndex(
        questions,
        threshold_0_1=threshold_0_1,
        common_rows=max(1, min(_COMMON_ROWS, int(len(learned) * _COMMON_0_1))),
        own=len(sources[0].questions),
        one_each=True,
    )
    index.feed(taken(packed(candidates.questions, threads=threads), learned), threads=threads)
    return index.finish()


def _given_away(
    dropped: str, found: Contaminated, sources: Sequence[Cases], firsts: Sequence[int], dataset_name: str
) -> GivenAway:
    number = bisect_right(firsts, found.case) - 1
    version = sources[number].version
    return GivenAway(
        dropped=dropped,
        why=str(found.overlap),
        case=sources[number].sample_ids[found.case - firsts[number]],
        dataset_name=dataset_name if version is None else version.dataset_name,
        version=None if version is None else version.number,
        version_id=None if version is None else version.version_id,
        likeness_0_1=found.likeness_0_1,
    )


def _as_source(source: Cases, dataset_name: str) -> CaseSource:
    version = source.version
    return CaseSource(
        dataset_name=dataset_name if version is None else version.dataset_name,
        version=None if version is None else version.number,
        version_id=None if version is None else version.version_id,
        cases=len(source.questions),
        left_out_cases=source.left_out,
        why_left_out=source.why_left_out,
    )
