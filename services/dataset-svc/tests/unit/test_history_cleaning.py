"""Rows of a person go from the history; every version that does not read them stays what it was, byte for byte."""

import random
from pathlib import Path

import pytest

from dataset_svc.adapters.history_cleaning import blank_rows, name_other_packs
from dataset_svc.adapters.version_packs import Committed, VersionPacks
from dataset_svc.domain.deletions import Rows
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.versions import row_packs
from dataset_svc.domain.versions.blanking import blanked
from dataset_svc.domain.versions.row_packs import decode_manifest, decompress
from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import Split
from loopwright.errors import InvalidPayload
from loopwright.storage import Storage

PARTS = tuple(SplitName)
PERSON = b"somebody"
Parts = dict[SplitName, bytes]


def a_line(number: int, word: str = "nobody") -> bytes:
    return f'{{"sample_id":"s{number}","input":"{word} {number}"}}\n'.encode()


def a_version(lines: list[bytes]) -> Parts:
    return {name: b"".join(lines[place :: len(PARTS)]) for place, name in enumerate(PARTS)}


class History:
    """Versions in a folder, each the child of the one before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage = Storage(f"file://{folder}")
        self.packs = VersionPacks(self.storage)
        self.versions: list[tuple[Artifact, Parts]] = []

    async def commit(self, lines: list[bytes]) -> Committed:
        parts = a_version(lines)
        splits = {
            name: Split(
                artifact=await self.storage.put_bytes(content, kind="files", suffix="", media_type="text/plain"),
                samples=0,
            )
            for name, content in parts.items()
        }
        parent = self.versions[-1][0] if self.versions else None
        committed = await self.packs.commit(await self.packs.grow(parts, parent=parent), splits)
        self.versions.append((committed.manifest, parts))
        return committed

    async def clean(self, number: int) -> int:
        """Takes the person's rows out of one version's history, as the service does; says how many packs changed."""
        manifest, parts = self.versions[number]
        replaced = await blank_rows(self.storage, self.packs, manifest, rows_of_person(parts))
        for place, (one, content) in enumerate(self.versions):
            moved = await name_other_packs(self.storage, one, replaced)
            self.versions[place] = (moved or one, content)
        for uri in replaced:
            await self.storage.delete(uri)
        return len(replaced)

    async def checkout(self, number: int) -> Parts:
        version = await VersionPacks(self.storage).open(self.versions[number][0])
        return {name: b"".join([piece async for piece in version.lines(name)]) for name in SplitName}

    async def texts(self) -> list[bytes]:
        """Lines of all packs that lie in storage."""
        return [decompress(path.read_bytes(), size_bytes=1 << 24) for path in self.folder.rglob("*.pack")]


def rows_of_person(parts: Parts) -> Rows:
    lines = {name: content.splitlines() for name, content in parts.items()}
    return {name: [row for row, line in enumerate(found) if PERSON in line] for name, found in lines.items()}


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    monkeypatch.setattr(row_packs, "PACK_BYTES", 400)  # so that a version has many packs
    return History(tmp_path)


async def test_versions_before_and_after_the_person_stay_what_they_were(history: History) -> None:
    rng, pool = random.Random(3), [a_line(number) for number in range(90)]
    mine = [a_line(1000 + number, PERSON.decode()) for number in range(5)]
    held = {4, 5}
    for turn in range(9):
        lines = rng.sample(pool, 60) + (mine if turn in held else [])
        rng.shuffle(lines)
        await history.commit(lines)
    assert any(PERSON in text for text in await history.texts())

    assert [await history.clean(number) > 0 for number in sorted(held)] == [True, False]

    assert not any(PERSON in text for text in await history.texts())
    for number in set(range(9)) - held:
        assert await history.checkout(number) == history.versions[number][1]


async def test_the_version_itself_cannot_be_read_any_more(history: History) -> None:
    await history.commit([a_line(1), a_line(2, PERSON.decode()), a_line(3)])
    await history.clean(0)
    with pytest.raises(InvalidPayload):
        await history.checkout(0)


async def test_a_later_version_grows_from_a_cleaned_one(history: History) -> None:
    lines = [a_line(number) for number in range(30)]
    await history.commit([*lines, a_line(99, PERSON.decode())])
    await history.clean(0)
    grown = await history.commit([*lines, a_line(100)])
    assert grown.rows_added == 1
    assert await history.checkout(1) == history.versions[1][1]


async def test_only_packs_with_such_rows_are_written_again(history: History) -> None:
    await history.commit([a_line(number) for number in range(60)])
    await history.commit([a_line(number) for number in range(60)] + [a_line(99, PERSON.decode())])
    assert await history.clean(1) == 1
    [first, second] = [decode_manifest(await history.storage.read_bytes(one)) for one, _ in history.versions]
    assert first.layers[0] == second.layers[0]


async def test_cleaning_again_changes_nothing(history: History) -> None:
    await history.commit([a_line(1), a_line(2, PERSON.decode())])
    assert await history.clean(0) == 1
    before = history.versions[0][0]
    assert await history.clean(0) == 0
    assert history.versions[0][0] == before


def test_spaces_stand_where_the_words_stood() -> None:
    assert blanked(b"one\ntwo\nthree\n", [(4, 7)]) == b"one\n   \nthree\n"
