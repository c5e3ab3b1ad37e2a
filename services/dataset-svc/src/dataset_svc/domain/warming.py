"""Lets numba compile every loop of a build, or load it from its cache, before somebody waits for it.

`make setup` runs this once (the compiled code then lies beside the sources), every process that builds when it starts
(a second or two from then on).
"""

import numpy as np

from dataset_svc.domain.building import Memory, Recipe, VersionBuilder
from dataset_svc.domain.kept_lines import LinesInMemory
from dataset_svc.domain.likeness.clusters import RememberedQuestion
from dataset_svc.domain.likeness.held_out import Cases, CaseVersion
from dataset_svc.domain.personal.name_shapes import read_words
from dataset_svc.domain.preparing import PreparationRules, Preparer
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.sources.lines import LineCutter
from dataset_svc.domain.sources.reading import ReadingRules
from dataset_svc.domain.texts.hashes import sha256s
from dataset_svc.domain.tokens.automata import Family, Kind, Pattern, steps_of
from dataset_svc.domain.tokens.piece_counts import PieceCounter
from dataset_svc.domain.tokens.pieces import Rules
from dataset_svc.domain.tokens.signs import CODES
from dataset_svc.domain.versions.row_packs import hashed
from loopwright.contracts.tasks import DataPolicy

_LONG = "a question of more than thirteen words, for passages of so many words are compared with held out cases"
_QUESTIONS = (
    "one two three four",
    "One two  three four",
    "nothing alike in here",
    "디스크가 가득 찼습니다, 왜요?",
    _LONG,
)
_LENT = CaseVersion(dataset_name="lent", number=1, version_id="lent")


def warm_up() -> None:
    """Builds a version of a few lines, of which another dataset holds one out."""
    reading, policy = ReadingRules(task_id="warming"), DataPolicy(min_samples=1, near_duplicate_threshold_0_1=0.7)
    recipe = Recipe(request_id="warming", dataset_name="warming", reading=reading, policy=policy, expected_lines=None)
    remembered = RememberedQuestion(text=_QUESTIONS[0], split=SplitName.TRAIN)
    lent = Cases(version=_LENT, sample_ids=("lent",), questions=(f"{_LONG} too",))
    lines = LinesInMemory()
    builder = VersionBuilder(recipe, Memory(questions=(remembered,), cases=(lent,)), lines)
    preparer = Preparer(PreparationRules(reading=reading, policy=policy))
    line = '{{"messages":[{{"role":"user","content":"{0}"}},{{"role":"assistant","content":"{0}."}}]}}\n'
    cutter = LineCutter(max_line_bytes=1_000)
    for question in _QUESTIONS:
        builder.add(preparer.prepare(list(cutter.feed(line.format(question).encode())), lines))
    built = builder.finish()
    built.measure()
    rules = Rules(kinds=np.full(CODES, Kind.LETTER, dtype=np.uint8), steps=steps_of(Pattern(family=Family.GPT2)))
    PieceCounter(rules, (), lambda pieces: np.ones(len(pieces), dtype=np.int32)).count([b"one two"])
    sha256s([b"-"] * 16)
    read_words(["전해준"])  # a name as well as two verbs: all is asked of the dictionary
    hashed(b"".join(built.splits[SplitName.TRAIN].lines(lines)), b"\0" * 16)


if __name__ == "__main__":
    warm_up()
