"""Changes the key under which stored objects are sealed: `python -m loopwright.rotation`.

Adds a key, makes it current and puts every object's data key under it. Running services see the file change. The key before stays
until the next rotation, for objects that were being written under it; older ones are forgotten. A crash leaves every object readable.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime

from loopwright.sealing import KEY_BYTES, KeyFile, KeyRing
from loopwright.settings import CommonSettings
from loopwright.storage import Storage, open_storage


async def rotate(storage: Storage, keys: KeyFile, *, name: str, key: bytes) -> tuple[int, int]:
    """Rotates to a new key of 32 bytes.

    Returns:
        How many objects there are, and how many were put under the new key.
    """
    before = keys.ring()
    keys.write(KeyRing(name, {**before.keys, name: key}))
    seen, changed = await storage.rewrap_all(keys)
    keys.write(KeyRing(name, {before.current: before.keys[before.current], name: key}))
    return seen, changed


def main() -> None:
    common = CommonSettings()
    if common.storage_keys_file is None:
        sys.exit(
            "LOOPWRIGHT_STORAGE_KEYS_FILE names no key file: objects are stored plain, and there is nothing to rotate"
        )
    name = datetime.now(UTC).strftime("key-%Y%m%dT%H%M%SZ")
    seen, changed = asyncio.run(
        rotate(open_storage(common), KeyFile(common.storage_keys_file), name=name, key=os.urandom(KEY_BYTES))
    )
    print(f"{changed} of {seen} objects were put under {name}")  # noqa: T201 - it is a command


if __name__ == "__main__":
    main()
