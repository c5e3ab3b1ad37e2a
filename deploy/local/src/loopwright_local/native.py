"""A service's hot path as C, made by mypyc of the very modules that are read here.

`[tool.loopwright] native` of a service's pyproject names the modules. They are compiled together into `.native/`, a copy
of the whole package that is run in place of the sources wherever the service is started as a process, as long as it was
made of just these sources; otherwise the sources run. Unit tests and their authors always have the sources.

GCC compiles twice: `practice`, a script of the service, runs on the first result, and the second puts what it passed
together and all that it never needed (most of it what follows an error) elsewhere.

Run by the interpreter of `.venv-native`, which needs nothing of this project: python native.py SERVICE
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[4]
_FOLDER = _ROOT / ".native"
_SETUP = """
from setuptools import setup
from mypyc.build import mypycify

options = ["--python-executable", {python!r}, "--follow-imports=silent", "--ignore-missing-imports"]
modules = {modules!r}
setup(ext_modules=mypycify([*options, *modules], opt_level="2", debug_level="0", multi_file=True, group_name={group!r}))
"""

_WATCHING = "-fprofile-generate={folder} -fprofile-update=single"
_TAUGHT = "-fprofile-use={folder} -fprofile-correction -Wno-missing-profile"


def native_path(service: str) -> str | None:
    """What goes before the sources on a process's `PYTHONPATH`; None if nothing was made of these sources."""
    folder = _FOLDER / service
    try:
        made_of = (folder / "made-of").read_text()
    except OSError:
        return None
    return str(folder) if made_of == _digest(service) else None


def native_env(service: str) -> dict[str, str]:
    """What a process of a service is told in its environment so that it runs as C, if it can."""
    path = native_path(service)
    return {} if path is None else {"PYTHONPATH": path}


def build(service: str) -> None:
    """Compiles a service's hot path.

    Raises:
        subprocess.CalledProcessError: a module cannot be compiled, or the practice failed; either has said why.
    """
    folder, made_of = _FOLDER / service, _digest(service)  # what is edited meanwhile is not compiled
    shutil.rmtree(folder, ignore_errors=True)
    package = _package(service)
    shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    modules = [f"{package.name}/{name}" for name in _modules(service)]
    python = _ROOT / ".venv/bin/python"
    (folder / "setup.py").write_text(_SETUP.format(python=str(python), modules=modules, group=f"{package.name}_native"))
    practice = _settings(service).get("practice")
    if practice and "gcc" in (sysconfig.get_config_var("CC") or ""):
        profile = folder / "build/profile"
        _compile(folder, _WATCHING.format(folder=profile))
        command = (
            "env",
            f"PYTHONPATH={folder}",
            str(python),
            str(_ROOT / "services" / service / practice[0]),
            *practice[1:],
        )
        subprocess.run(command, cwd=_ROOT, check=True)
        _compile(folder, _TAUGHT.format(folder=profile))
    else:
        _compile(folder, "")
    shutil.rmtree(folder / "build")
    (folder / "made-of").write_text(made_of)


def _compile(folder: Path, flags: str) -> None:
    build = ("build_ext", "--inplace", "--force", "--parallel", str(os.cpu_count() or 1))
    subprocess.run(("env", f"CFLAGS={flags}", sys.executable, "setup.py", "--quiet", *build), cwd=folder, check=True)


def _digest(service: str) -> str:
    """Of all that a build is made of."""
    digest = hashlib.sha256(f"{platform.python_version()} {_settings(service)} {_SETUP} {_WATCHING} {_TAUGHT}".encode())
    for path in sorted(_package(service).rglob("*.py")):
        digest.update(f"\0{path.relative_to(_ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _modules(service: str) -> list[str]:
    return _settings(service)["native"]


def _settings(service: str) -> dict[str, list[str]]:
    project = tomllib.loads((_ROOT / "services" / service / "pyproject.toml").read_text())
    return project["tool"]["loopwright"]


def _package(service: str) -> Path:
    return _ROOT / "services" / service / "src" / service.replace("-", "_")


def main() -> None:
    if shutil.which("cc") is None or not Path(sysconfig.get_path("include"), "Python.h").exists():
        sys.exit("A C compiler with Python's headers is missing: apt-get install gcc python3.11-dev")
    (service,) = sys.argv[1:]
    build(service)


if __name__ == "__main__":
    main()
