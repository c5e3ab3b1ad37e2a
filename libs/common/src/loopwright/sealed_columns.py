"""Columns of text that are encrypted at rest, as objects in storage are: values that are written together get a data key of their own.

The data key lies in the schema's table `data_keys`, wrapped by a key of the key file, so that keys rotate without touching a value. A value
is the number of its data key, its own number under that key, and AES-256-GCM ciphertext that opens only for its table. Both numbers are the
nonce. Without a key file values lie plain behind a number of zero.
"""

import os
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.dml import ReturningInsert

from loopwright.errors import InvalidPayload, StoreUnavailable
from loopwright.sealing import KEY_BYTES, KeyFile, KeyRing, data_key_in, header_of, rewrap
from loopwright.settings import CommonSettings

_TABLE = "data_keys"
_INFO = "column_keys"  # where a session keeps what its columns are sealed with
_PLACE = struct.Struct(">QI")  # 96 bits, as GCM wants a nonce
_PLAIN = bytes(_PLACE.size)
_AT_ONCE = 1_000
_STANDS_S = 86_400.0  # a key for a day of a process: a table of keys that grows by no traffic
_MOST_VALUES = 1 << 24  # under a standing key, far from the 2^32 that numbers and GCM allow


def data_keys_table(metadata: sa.MetaData) -> sa.Table:
    """Declares the table of wrapped data keys in the schema of `metadata`."""
    return sa.Table(
        _TABLE,
        metadata,
        sa.Column("key_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("header", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


class ColumnSealer:
    """Seals values of one table under one data key.

    Args:
        data_key: 32 bytes that nothing else uses; None leaves values plain.
    """

    def __init__(self, table: str, *, key_id: int = 0, data_key: bytes | None = None) -> None:
        self._table = table.encode()
        self.key_id = key_id
        self.cipher = None if data_key is None else AESGCM(data_key)
        self._number = 0
        self._since = time.monotonic()

    @property
    def worn(self) -> bool:
        """Whether it has sealed for so long, or so much, that another key should take its place."""
        return self._number >= _MOST_VALUES or time.monotonic() - self._since >= _STANDS_S

    def seal(self, content: bytes) -> bytes:
        if self.cipher is None:
            return _PLAIN + content
        place = _PLACE.pack(self.key_id, self._number)
        self._number += 1
        return place + self.cipher.encrypt(place, content, self._table)


@dataclass(frozen=True)
class ColumnKeys:
    """What a service's columns are sealed with; without a key file they are written plain.

    Attributes:
        standing: By table, what seals for many transactions; its key is in this process alone.
    """

    table: sa.Table
    file: KeyFile | None
    standing: dict[str, ColumnSealer] = field(default_factory=dict[str, ColumnSealer], compare=False)

    def as_info(self) -> dict[str, object]:
        """For sessions to carry."""
        return {_INFO: self}


def open_column_keys(table: sa.Table, common: CommonSettings) -> ColumnKeys:
    """The keys of the file that objects are sealed with too.

    Raises:
        ValueError: the key file is none.
    """
    return ColumnKeys(table, None if common.storage_keys_file is None else KeyFile(common.storage_keys_file))


async def sealer_for(session: AsyncSession, table: str) -> ColumnSealer:
    """A sealer with a data key of its own, kept in the session's transaction."""
    keys = session.info.get(_INFO)
    if not isinstance(keys, ColumnKeys) or keys.file is None:
        return ColumnSealer(table)
    data_key = os.urandom(KEY_BYTES)
    key_id = (await session.execute(_kept(keys.table, keys.file, data_key))).scalar_one()
    return ColumnSealer(table, key_id=key_id, data_key=data_key)


async def standing_sealer(session: AsyncSession, table: str) -> ColumnSealer:
    """A sealer for small writes that never end: its data key is kept at once, and serves this process for a day.

    Whatever becomes of the session's transaction, others may have used the key by then.
    """
    keys = session.info.get(_INFO)
    if not isinstance(keys, ColumnKeys) or keys.file is None:
        return ColumnSealer(table)
    sealer = keys.standing.get(table)
    if sealer is None or sealer.worn:
        assert isinstance(session.bind, AsyncEngine)
        data_key = os.urandom(KEY_BYTES)
        async with session.bind.begin() as connection:
            key_id = (await connection.execute(_kept(keys.table, keys.file, data_key))).scalar_one()
        sealer = keys.standing[table] = ColumnSealer(table, key_id=key_id, data_key=data_key)
    return sealer


def _kept(table: sa.Table, file: KeyFile, data_key: bytes) -> ReturningInsert[int]:
    """Keeps a data key under the current key, and says its number."""
    return sa.insert(table).values(header=header_of(file.ring(), data_key)).returning(table.c.key_id)


class ColumnOpener:
    """Opens values of one table; each data key is fetched once."""

    def __init__(self, session: AsyncSession, table: str) -> None:
        self._session = session
        self._name = table
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

    async def open_known(self, values: Sequence[bytes | None]) -> list[bytes | None]:
        """As `open_all`; nothing where there is nothing."""
        found = iter(await self.open_all([value for value in values if value is not None]))
        return [None if value is None else next(found) for value in values]

    async def open(self, value: bytes) -> bytes:
        [content] = await self.open_all([value])
        return content

    async def _fetch(self, key_ids: set[int]) -> None:
        if not key_ids:
            return
        keys = self._session.info.get(_INFO)
        if not isinstance(keys, ColumnKeys) or keys.file is None:
            raise StoreUnavailable("storage.key-missing", "columns are sealed, and no key file is configured")
        standing = keys.standing.get(self._name)
        if standing is not None and standing.cipher is not None and standing.key_id in key_ids:
            self._ciphers[standing.key_id] = standing.cipher
            key_ids = key_ids - {standing.key_id}
            if not key_ids:
                return
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


def seal_rows(
    connection: sa.Connection, file: KeyFile, table: str, *, schema: str, keys: Sequence[str], columns: Sequence[str]
) -> None:
    """Seals the plain values of a table under one data key, for migrations.

    Args:
        keys: Columns of the primary key.
        columns: Where values lie plain, or are absent.
    """
    data_key = os.urandom(KEY_BYTES)
    wrapped = sa.text(f"INSERT INTO {schema}.{_TABLE} (header) VALUES (:header) RETURNING key_id")  # noqa: S608 - of names
    key_id = connection.execute(wrapped, {"header": header_of(file.ring(), data_key)}).scalar_one()
    sealer = ColumnSealer(table, key_id=key_id, data_key=data_key)
    names, values = ", ".join(keys), ", ".join(columns)
    after = f"AND ({names}) > ({', '.join(f':{key}' for key in keys)})"
    changed = ", ".join(f"{column} = :{column}" for column in columns)
    same = " AND ".join(f"{key} = :{key}" for key in keys)
    some = f"SELECT {names}, {values} FROM {schema}.{table} WHERE num_nonnulls({values}) > 0"  # noqa: S608 - of names
    update = sa.text(f"UPDATE {schema}.{table} SET {changed} WHERE {same}")  # noqa: S608 - of names
    last: dict[str, object] = {}
    while True:
        query = sa.text(f"{some} {after if last else ''} ORDER BY {names} LIMIT {_AT_ONCE}")
        rows = [dict(row) for row in connection.execute(query, last).mappings()]
        if not rows:
            return
        last = {key: rows[-1][key] for key in keys}
        for row in rows:
            row |= {column: row[column] and sealer.seal(row[column][_PLACE.size :]) for column in columns}
        connection.execute(update, rows)


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
