"""Values of columns that lie sealed; what databases add is tried with the service that has such columns."""

import os
from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from loopwright import sealed_columns
from loopwright.errors import InvalidPayload, StoreUnavailable
from loopwright.sealed_columns import (
    ColumnKeys,
    ColumnOpener,
    ColumnSealer,
    data_keys_table,
    sealer_for,
    standing_sealer,
)
from loopwright.sealing import KeyFile, header_of

TEXT = "홍길동의 전화번호".encode()


class Session:
    """A session whose database holds data keys; it answers every query with all of them."""

    def __init__(self, info: dict[str, object], rows: Sequence[tuple[int, bytes]] = ()) -> None:
        self.info = info
        self.rows = rows
        self.queries = 0

    async def execute(self, _statement: object) -> Sequence[tuple[int, bytes]]:
        self.queries += 1
        return self.rows


@pytest.fixture
def file(tmp_path) -> KeyFile:
    path = tmp_path / "keys.json"
    path.write_text('{"current": "a", "keys": {"a": "' + "A" * 43 + '="}}')
    return KeyFile(path)


@pytest.fixture
def keys(file: KeyFile) -> dict[str, object]:
    return ColumnKeys(data_keys_table(sa.MetaData(schema="s")), file).as_info()


class TestSealedValues:
    async def test_open_again_and_show_nothing(self, file: KeyFile, keys: dict[str, object]) -> None:
        data_key = os.urandom(32)
        sealer = ColumnSealer("cases", key_id=7, data_key=data_key)
        sealed = [sealer.seal(TEXT), sealer.seal(TEXT), sealer.seal(b"")]
        assert TEXT not in b"".join(sealed)
        assert len(set(sealed)) == 3
        session = Session(keys, [(7, header_of(file.ring(), data_key))])
        opener = ColumnOpener(session, "cases")
        assert await opener.open_all(sealed) == [TEXT, TEXT, b""]
        assert await opener.open(sealed[0]) == TEXT
        assert session.queries == 1

    @pytest.mark.parametrize("byte", [0, 7, 8, 11, 12, -1])
    async def test_that_were_changed_or_moved_to_another_table_do_not_open(
        self, file: KeyFile, keys: dict[str, object], byte: int
    ) -> None:
        data_key = os.urandom(32)
        value = bytearray(ColumnSealer("cases", key_id=7, data_key=data_key).seal(TEXT))
        session = Session(keys, [(7, header_of(file.ring(), data_key))])
        with pytest.raises(InvalidPayload, match="changed"):
            await ColumnOpener(session, "names").open(bytes(value))
        value[byte] ^= 1
        with pytest.raises(InvalidPayload):
            await ColumnOpener(session, "cases").open(bytes(value))
        with pytest.raises(InvalidPayload, match="cut off"):
            await ColumnOpener(session, "cases").open(bytes(value[:11]))

    async def test_need_the_key_file(self) -> None:
        sealed = ColumnSealer("cases", key_id=7, data_key=bytes(32)).seal(TEXT)
        with pytest.raises(StoreUnavailable, match="no key file"):
            await ColumnOpener(Session({}), "cases").open(sealed)

    async def test_lie_plain_without_a_key_file(self) -> None:
        sealer = await sealer_for(Session({}), "cases")
        assert sealer.seal(TEXT) == bytes(12) + TEXT
        assert await ColumnOpener(Session({}), "cases").open(sealer.seal(TEXT)) == TEXT


class TestStandingKeys:
    async def test_open_without_a_query_in_the_process_that_seals_with_them(self, file: KeyFile) -> None:
        keys = ColumnKeys(data_keys_table(sa.MetaData(schema="s")), file)
        sealer = keys.standing["cases"] = ColumnSealer("cases", key_id=7, data_key=os.urandom(32))
        older_key = os.urandom(32)
        older = ColumnSealer("cases", key_id=3, data_key=older_key).seal(TEXT)
        session = Session(keys.as_info(), [(3, header_of(file.ring(), older_key))])
        assert await standing_sealer(session, "cases") is sealer
        assert await ColumnOpener(session, "cases").open(sealer.seal(TEXT)) == TEXT
        assert session.queries == 0
        assert await ColumnOpener(session, "cases").open_all([older, sealer.seal(b"")]) == [TEXT, b""]
        assert session.queries == 1

    async def test_are_worn_after_many_values_or_a_day(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sealer = ColumnSealer("cases", key_id=7, data_key=os.urandom(32))
        monkeypatch.setattr(sealed_columns, "_MOST_VALUES", 2)
        sealer.seal(TEXT)
        assert not sealer.worn
        sealer.seal(TEXT)
        assert sealer.worn
        monkeypatch.setattr(sealed_columns, "_STANDS_S", 0.0)
        assert ColumnSealer("cases").worn
