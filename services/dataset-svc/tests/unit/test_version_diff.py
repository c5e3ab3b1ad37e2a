"""What a diff says of two versions, held against plain dictionaries."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.versions.row_packs import hashed, snapshot_of
from dataset_svc.domain.versions.version_diff import ChangeKind, Move, VersionDiff, figures_of

KEY = b"k" * 16
PARTS = tuple(SplitName)
# sample number -> (part, text)
versions = st.dictionaries(st.integers(0, 25), st.tuples(st.sampled_from(PARTS), st.sampled_from(("x", "yy"))))


def a_line(number, text):
    return f'{{"sample_id":"s{number}","input":"{text}"}}\n'.encode()


def lines_of(version, name):
    return [a_line(number, text) for number, (part, text) in sorted(version.items()) if part is name]


def a_snapshot(version):
    parts = {name: hashed(b"".join(lines_of(version, name)), KEY) for name in PARTS}
    return snapshot_of(parts, dict.fromkeys(PARTS, ""))


@settings(deadline=None)  # the first call compiles
@given(versions, versions)
def test_counts_and_examples_are_those_of_the_dictionaries(before, after):
    diff = VersionDiff(a_snapshot(before), a_snapshot(after))
    both = before.keys() & after.keys()
    expected = {
        ChangeKind.ADDED: after.keys() - before.keys(),
        ChangeKind.REMOVED: before.keys() - after.keys(),
        ChangeKind.CHANGED: {number for number in both if before[number][1] != after[number][1]},
        ChangeKind.MOVED: {number for number in both if before[number][0] is not after[number][0]},
    }
    assert diff.unchanged == sum(before[number] == after[number] for number in both)
    for kind, numbers in expected.items():
        assert diff.count(kind) == len(numbers)
        found = set()
        for change in diff.changes(kind, limit=100, offset=0):
            sides = [(change.before, before), (change.after, after)]
            texts = [lines_of(version, row.split)[row.position] for row, version in sides if row is not None]
            found |= {int(text.split(b'"')[3][1:]) for text in texts}
            assert (change.before is None) == (kind is ChangeKind.ADDED)
            assert (change.after is None) == (kind is ChangeKind.REMOVED)
        assert found == numbers


@settings(deadline=None)
@given(versions)
def test_a_version_does_not_differ_from_itself(version):
    diff = VersionDiff(a_snapshot(version), a_snapshot(version))
    assert [diff.count(kind) for kind in ChangeKind] == [0, 0, 0, 0]
    assert (diff.unchanged, diff.moves()) == (len(version), ())


def test_moves_are_counted_by_where_from_and_where_to():
    train, validation, held_out = PARTS
    before = {number: (train if number < 5 else validation, "x") for number in range(8)}
    after = {number: (held_out if number in {0, 1} else train, "x") for number in range(8)}
    assert VersionDiff(a_snapshot(before), a_snapshot(after)).moves() == (
        Move(before=train, after=held_out, samples=2),
        Move(before=validation, after=train, samples=3),
    )


def test_examples_come_in_pages_without_gap_or_overlap():
    diff = VersionDiff(a_snapshot({}), a_snapshot({number: (PARTS[number % 3], "x") for number in range(20)}))
    whole = diff.changes(ChangeKind.ADDED, limit=100, offset=0)
    pages = [diff.changes(ChangeKind.ADDED, limit=7, offset=offset) for offset in (0, 7, 14, 21)]
    assert sum(pages, ()) == whole
    assert [len(page) for page in pages] == [7, 7, 6, 0]


def test_figures_are_those_of_the_lines():
    version = {number: (PARTS[0], "x" * number) for number in range(10)}
    figures = figures_of(a_snapshot(version))
    lengths = sorted(len(line) for line in lines_of(version, PARTS[0]))
    assert (figures[PARTS[0]].samples, figures[PARTS[0]].size_bytes) == (10, sum(lengths))
    assert lengths[4] <= figures[PARTS[0]].median_bytes <= lengths[5]
    assert figures[PARTS[1]].samples == 0
