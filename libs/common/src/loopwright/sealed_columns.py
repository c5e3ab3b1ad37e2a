"""Columns of text that are encrypted at rest, as objects in storage are: values that are written together get a data key of their own.

The data key lies in the schema's table `data_keys`, wrapped by a key of the key file, so that keys rotate without touching a value. A value
is the number of its data key, its own number under that key, and AES-256-GCM ciphertext that opens only for its table. Both numbers are the
nonce. Without a key file values lie plain behind a number of zero.
"""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from loopwright.errors import InvalidPayload, StoreUnavailable
from loopwright.sealing import KEY_BYTES, KeyFile, KeyRing, data_key_in, header_of, rewrap
from loopwright.settings import CommonSettings

_TABLE = "data_keys"
_INFO = "column_keys"  # where a session keeps what its columns are sealed with
_PLACE = struct.Struct(">QI")  # 96 bits, as GCM wants a nonce
_PLAIN = bytes(_PLACE.size)
_AT_ONCE = 1_000


def data_keys_table(metadata: sa.MetaData) -> sa.Table:
    """Declares the table of wrapped data keys in the schema of `metadata`."""
    return sa.Table(
        _TABLE,
        metadata,
        sa.Column("key_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("header", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


@dataclass(frozen=True)
class ColumnKeys:
    """What a service's columns are sealed with; without a key file they are written plain."""

    table: sa.Table
    file: KeyFile | None

    def as_info(self) -> dict[str, object]:
        """For sessions to carry."""
        return {_INFO: self}


def open_column_keys(table: sa.Table, common: CommonSettings) -> ColumnKeys:
    """The keys of the file that objects are sealed with too.

    Raises:
        ValueError: the key file is none.
    """
    return ColumnKeys(table, None if common.storage_keys_file is None else KeyFile(common.storage_keys_file))


class ColumnSealer:
    """Seals values of one table under one data key.

    Args:
        data_key: 32 bytes that nothing else uses; None leaves values plain.
    """

    def __init__(self, table: str, *, key_id: int = 0, data_key: bytes | None = None) -> None:
        self._table = table.encode()
        self._key_id = key_id
        self._cipher = None if data_key is None else AESGCM(data_key)
        self._number = 0

    def seal(self, content: bytes) -> bytes:
        if self._cipher is None:
            return _PLAIN + content
        place = _PLACE.pack(self._key_id, self._number)
        self._number += 1
        return place + self._cipher.encrypt(place, content, self._table)


async def sealer_for(session: AsyncSession, table: str) -> ColumnSealer:
    """A sealer with a data key of its own, kept in the session's transaction."""
    keys = session.info.get(_INFO)
    if not isinstance(keys, ColumnKeys) or keys.file is None:
        return ColumnSealer(table)
    data_key = os.urandom(KEY_BYTES)
    kept = sa.insert(keys.table).values(header=header_of(keys.file.ring(), data_key)).returning(keys.table.c.key_id)
    return ColumnSealer(table, key_id=(await session.execute(kept)).scalar_one(), data_key=data_key)


class ColumnOpener:
    """Opens values of one table; each data key is fetched once."""

    def __init__(self, session: AsyncSession, table: str) -> None:
        self._session = session
        self._table = table.encode()
        self._ciphers: dict[int, AESGCM] = {}

    async def open_all(self, values: Sequence[bytes]) -> list[bytes]:
        """What was sealed, in order.

        Raises:
            StoreUnavailable: sealed under a key that is not configured.
            InvalidPayload: a value was changed, or is another table's.
        """
        places = [_place_of(value) for value in values]
        await self._fetch({key_id for key_id, _ in places} - self._ciphers.keys() - {0})
        return [self._open(key_id, value) for (key_id, _), value in zip(places, values, strict=True)]

    async def open(self, value: bytes) -> bytes:
        [content] = await self.open_all([value])
        return content

    async def _fetch(self, key_ids: set[int]) -> None:
        if not key_ids:
            return
        keys = self._session.info.get(_INFO)
        if not isinstance(keys, ColumnKeys) or keys.file is None:
            raise StoreUnavailable("storage.key-missing", "columns are sealed, and no key file is configured")
        ring, columns = keys.file.ring(), keys.table.c
        found = await self._session.execute(
            sa.select(columns.key_id, columns.header).where(columns.key_id.in_(key_ids))
        )
        self._ciphers |= {key_id: AESGCM(data_key_in(header, ring)) for key_id, header in found}

    def _open(self, key_id: int, value: bytes) -> bytes:
        if not key_id:
            return value[_PLACE.size :]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise InvalidPayload("storage.seal-broken", "a sealed value names a data key that nobody has")
        try:
            return cipher.decrypt(value[: _PLACE.size], value[_PLACE.size :], self._table)
        except InvalidTag as error:
            raise InvalidPayload("storage.seal-broken", "a sealed value was changed") from error


def _place_of(value: bytes) -> tuple[int, int]:
    if len(value) < _PLACE.size:
        raise InvalidPayload("storage.seal-broken", "a sealed value was cut off")
    key_id, number = _PLACE.unpack_from(value)
    return key_id, number


class DataKeys:
    """The data keys of every schema of a database, for rotation."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url

    async def rewrap_all(self, keys: KeyFile) -> tuple[int, int]:
        """Puts every data key under the current key; no value is touched.

        Returns:
            How many data keys there are, and how many were under another key.
        """
        engine = create_async_engine(self._url, poolclass=NullPool)
        try:
            async with engine.begin() as connection:
                counts = [
                    await _rewrap(connection, sa.Table(_TABLE, sa.MetaData(schema=schema), *_columns()), keys.ring())
                    for schema in await _schemas(connection)
                ]
        finally:
            await engine.dispose()
        return sum(seen for seen, _ in counts), sum(changed for _, changed in counts)


def _columns() -> tuple[sa.Column[int], sa.Column[bytes]]:
    return sa.Column("key_id", sa.BigInteger), sa.Column("header", sa.LargeBinary)


async def _schemas(connection: AsyncConnection) -> list[str]:
    found = await connection.execute(
        sa.text("SELECT table_schema FROM information_schema.tables WHERE table_name = :table ORDER BY 1"),
        {"table": _TABLE},
    )
    return list(found.scalars())


async def _rewrap(connection: AsyncConnection, table: sa.Table, ring: KeyRing) -> tuple[int, int]:
    seen = changed = last = 0
    while True:
        some = sa.select(table).where(table.c.key_id > last).order_by(table.c.key_id).limit(_AT_ONCE).with_for_update()
        rows = (await connection.execute(some)).all()
        if not rows:
            return seen, changed
        seen, last = seen + len(rows), rows[-1].key_id
        moved = [(row.key_id, header) for row in rows if (header := rewrap(row.header, ring)) is not None]
        changed += len(moved)
        if moved:
            update = sa.update(table).where(table.c.key_id == sa.bindparam("one")).values(header=sa.bindparam("new"))
            await connection.execute(update, [{"one": key_id, "new": header} for key_id, header in moved])
