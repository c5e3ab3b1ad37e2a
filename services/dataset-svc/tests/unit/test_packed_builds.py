"""What crosses from the builder's process says what the build said."""

import json

from dataset_svc.domain.building import Memory, Recipe, VersionBuilder
from dataset_svc.domain.kept_lines import LinesInMemory
from dataset_svc.domain.packed_builds import pack
from dataset_svc.domain.preparing import PreparationRules, Preparer
from dataset_svc.domain.report import QualityReport
from dataset_svc.domain.sources.lines import LineCutter
from dataset_svc.domain.sources.reading import ReadingRules
from dataset_svc.domain.statistics.figures import Statistics
from dataset_svc.domain.versions.origins import decode_origins
from loopwright.contracts.tasks import DataPolicy

LINES = 1_200
KEPT = LinesInMemory()
SAMPLE = (
    '{{"id":"s{0}","messages":[{{"role":"user","content":"question {0} of {1}"}},'
    '{{"role":"assistant","content":"answer {0}"}}],"unit_hash":{2}}}\n'
)


def a_build(lines: int):
    reading, policy = ReadingRules(task_id="t"), DataPolicy(min_samples=1)
    recipe = Recipe(request_id="r", dataset_name="d", reading=reading, policy=policy, expected_lines=None)
    builder = VersionBuilder(recipe, Memory(), KEPT)
    cutter = LineCutter(max_line_bytes=10_000)
    content = "".join(SAMPLE.format(n, n * n, '"u1"' if n % 7 == 0 else "null") for n in range(lines))
    preparer = Preparer(PreparationRules(reading=reading, policy=policy))
    builder.add(preparer.prepare([*cutter.feed(content.encode()), *cutter.finish()], KEPT))
    return builder.finish()


def test_rows_come_in_small_portions_and_in_order() -> None:
    built = a_build(LINES)
    waiting = LinesInMemory()
    packed = pack(built, waiting, title="d")
    file = b"".join(line for split in built.splits.values() for line in split.lines(KEPT))
    for name, split in built.splits.items():
        part = packed.parts[name]
        portions = list(part.unpacked(waiting))
        assert max(map(len, portions), default=0) <= 1_000
        assert [row for rows in portions for row in rows] == list(split.rows())
        content = file[part.first_byte : part.first_byte + part.size_bytes]
        assert (content, part.samples) == (b"".join(split.lines(KEPT)), len(split))
        units: dict[str, list[int]] = {}
        for position, line in enumerate(content.splitlines()):
            if (unit := json.loads(line)["unit_hash"]) is not None:
                units.setdefault(unit, []).append(position)
        assert part.units == {unit: tuple(lines) for unit, lines in units.items()}


def test_report_statistics_and_origins_are_those_of_the_build() -> None:
    built = a_build(60)
    packed = pack(built, LinesInMemory(), title="d & e")
    assert QualityReport.model_validate_json(packed.report) == built.report
    assert Statistics.model_validate_json(packed.statistics) == built.statistics
    assert set(decode_origins(packed.origins)) == set(built.origins)
    assert b"d &amp; e" in packed.page
    assert (packed.rejected_because, packed.quality_score_0_1) == ((), built.report.quality_score_0_1)
