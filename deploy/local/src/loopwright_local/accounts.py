"""The account PostgreSQL runs under: it refuses to be root, so a root supervisor lends it another one."""

import os
import pwd
from pathlib import Path

from loopwright_local.errors import Missing
from loopwright_local.part import Account

CANDIDATES = ("postgres", "nobody")


def database_account(*folders: Path) -> Account | None:
    """Return an account that can reach `folders`, or None when the supervisor is not root.

    Raises:
        Missing: there is no such account.
    """
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        closed = any(not _open_to_all(folder) for folder in folders)
        return Account(uid=entry.pw_uid, gid=entry.pw_gid, in_name_only=closed)
    raise Missing("PostgreSQL cannot run as root and neither `postgres` nor `nobody` exists: start as a normal user")


def _open_to_all(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents) if parent.exists())
