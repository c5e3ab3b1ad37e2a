"""Which code ran: the commit that this package lies in, else the version it was installed as."""

import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGE = "trainer-svc"
_LONGEST_S = 5


@dataclass(frozen=True, kw_only=True)
class CodeVersion:
    """What ran.

    Attributes:
        release: Version of the installed package.
        commit: Forty hexadecimal digits, where the package lies in a work tree of git.
        changed: Files of the work tree differ from the commit.
    """

    release: str
    commit: str | None = None
    changed: bool = False

    def __str__(self) -> str:
        if self.commit is None:
            return f"{_PACKAGE} {self.release}"
        return f"{_PACKAGE} {self.release}, commit {self.commit}{' with changes' if self.changed else ''}"


@cache
def code_version(folder: Path = Path(__file__).parent) -> CodeVersion:
    """What runs now; git may be missing, and the package may lie where git knows nothing of it.

    Args:
        folder: Whose commit is meant; a file of it must be tracked, for a package that is installed inside somebody
            else's work tree is not part of it.
    """
    try:
        release = version(_PACKAGE)
    except PackageNotFoundError:
        release = "0"
    if _git(folder, "ls-files", "--error-unmatch", Path(__file__).name) is None:
        return CodeVersion(release=release)
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no", ".")
    return CodeVersion(release=release, commit=_git(folder, "rev-parse", "HEAD"), changed=bool(changes))


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says; None if it is missing, fails or takes too long."""
    command = ("git", "-C", str(folder), *arguments)
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)  # noqa: S603 - fixed arguments
    except (OSError, subprocess.SubprocessError):
        return None
    return ended.stdout.strip() if ended.returncode == 0 else None
