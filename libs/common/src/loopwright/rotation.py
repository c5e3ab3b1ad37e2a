"""Changes the key under which stored objects and columns are sealed: `python -m loopwright.rotation`.

Adds a key, makes it current and puts every data key under it. Running services see the file change. The key before stays until the
next rotation, for what was being written under it; older ones are forgotten. A crash leaves everything readable.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from loopwright.sealed_columns import DataKeys
from loopwright.sealing import KEY_BYTES, KeyFile, KeyRing
from loopwright.settings import CommonSettings
from loopwright.storage import open_storage


class Sealed(Protocol):
    """Something with data keys; storage and databases."""

    async def rewrap_all(self, keys: KeyFile) -> tuple[int, int]:
        """Puts every data key under the current key.

        Returns:
            How many there are, and how many were under another key.
        """
        ...


async def rotate(everything: Sequence[Sealed], keys: KeyFile, *, name: str, key: bytes) -> tuple[int, int]:
    """Rotates to a new key of 32 bytes; what does not answer leaves the file with all keys.

    Returns:
        How many data keys there are, and how many were put under the new key.
    """
    before = keys.ring()
    keys.write(KeyRing(name, {**before.keys, name: key}))
    counts = [await sealed.rewrap_all(keys) for sealed in everything]
    keys.write(KeyRing(name, {before.current: before.keys[before.current], name: key}))
    return sum(seen for seen, _ in counts), sum(changed for _, changed in counts)


def main() -> None:
    common = CommonSettings()
    if common.storage_keys_file is None:
        sys.exit(
            "LOOPWRIGHT_STORAGE_KEYS_FILE names no key file: everything is stored plain, and there is nothing to rotate"
        )
    name = datetime.now(UTC).strftime("key-%Y%m%dT%H%M%SZ")
    everything = (open_storage(common), DataKeys(common.database_url.get_secret_value()))
    keys = KeyFile(common.storage_keys_file)
    seen, changed = asyncio.run(rotate(everything, keys, name=name, key=os.urandom(KEY_BYTES)))
    print(f"{changed} of {seen} data keys were put under {name}")  # noqa: T201 - it is a command


if __name__ == "__main__":
    main()
