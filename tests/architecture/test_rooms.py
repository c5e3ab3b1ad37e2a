"""What the linters cannot see: the same rooms everywhere, no drawers, nothing that outgrows a screen."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir())
WITHOUT_DATABASE = {"router-svc"}  # owns nothing that must outlive it
PACKAGES = {
    "loopwright": ROOT / "libs/common/src/loopwright",
    "loopwright_local": ROOT / "deploy/local/src/loopwright_local",
} | {name: ROOT / "services" / name / "src" / name.replace("-", "_") for name in SERVICES}
DRAWERS = {"utils", "util", "helpers", "helper", "misc", "common", "shared", "tools"}

every_service = pytest.mark.parametrize("service", SERVICES)
every_package = pytest.mark.parametrize("package", PACKAGES)


def our_files() -> list[Path]:
    return [path for folder in ("libs", "services", "deploy", "tests") for path in (ROOT / folder).rglob("*.py")]


def functions_in(package: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in PACKAGES[package].rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node


def room(service: str, name: str) -> bool:
    folder = PACKAGES[service]
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


def test_the_five_services_of_the_design_are_here() -> None:
    assert SERVICES == ["dataset-svc", "feedback-svc", "registry-svc", "router-svc", "trainer-svc"]


@every_service
def test_a_service_has_the_rooms_that_all_have(service: str) -> None:
    missing = [name for name in ("main", "settings", "api", "events", "handlers", "domain") if not room(service, name)]
    folder = ROOT / "services" / service
    missing += [
        name
        for name in ("README.md", "pyproject.toml", "tests/unit", "tests/integration")
        if not (folder / name).exists()
    ]
    assert missing == []


@every_service
def test_a_service_with_a_database_has_a_store_and_migrations_and_no_other(service: str) -> None:
    folder = ROOT / "services" / service
    present = {"store"} if room(service, "store") else set()
    present |= {path for path in ("migrations/env.py", "migrations/script.py.mako") if (folder / path).exists()}
    wanted = {"store", "migrations/env.py", "migrations/script.py.mako"}
    assert present == (set() if service in WITHOUT_DATABASE else wanted)


@every_service
def test_migrations_are_named_by_their_minute(service: str) -> None:
    for path in (ROOT / "services" / service / "migrations/versions").glob("*.py"):
        assert path.match("20[0-9][0-9]-[01][0-9]-[0-3][0-9]-[0-2][0-9][0-5][0-9]_*.py"), path.name


def test_nothing_is_a_drawer() -> None:
    assert [path for path in our_files() if path.stem in DRAWERS or path.parent.name in DRAWERS - {"common"}] == []


def test_package_markers_are_empty() -> None:
    assert [path for path in our_files() if path.name == "__init__.py" and path.read_text()] == []


def test_every_module_opens_with_its_part_in_the_story() -> None:
    silent = [
        path
        for folder in PACKAGES.values()
        for path in folder.rglob("*.py")
        if path.name != "__init__.py" and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_no_file_is_longer_than_500_lines() -> None:
    assert {path: lines for path in our_files() if (lines := len(path.read_text().splitlines())) > 500} == {}


@every_package
def test_nine_functions_in_ten_are_shorter_than_40_lines(package: str) -> None:
    lengths = {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in functions_in(package)}
    long = {name: length for name, length in lengths.items() if length >= 40}
    assert len(long) <= len(lengths) / 10, long


@every_package
def test_no_signature_says_any(package: str) -> None:
    vague = [
        name
        for name, node in functions_in(package)
        for annotation in (node.returns, *(argument.annotation for argument in _arguments(node)))
        if annotation is not None
        and any(isinstance(part, ast.Name) and part.id == "Any" for part in ast.walk(annotation))
    ]
    assert vague == []


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    own = node.args
    extra = [argument for argument in (own.vararg, own.kwarg) if argument is not None]
    return [*own.posonlyargs, *own.args, *own.kwonlyargs, *extra]
