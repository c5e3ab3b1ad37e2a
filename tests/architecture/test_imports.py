"""Who may import whom: the contracts in pyproject.toml are kept, and each of them bites."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
SERVICES = ["dataset_svc", "trainer_svc", "registry_svc", "router_svc", "feedback_svc"]
ROOMS = ["main", "settings", "api", "events", "jobs", "handlers", "queries", "store", "adapters", "recipes", "domain"]
CONTRACTS = [
    contract["id"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]


def lint(folder: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    chosen = [flag for contract in contracts for flag in ("--contract", contract)]
    return subprocess.run(
        [LINT_IMPORTS, "--no-logo", "--no-cache", *chosen], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_platform_keeps_its_import_rules(contract: str) -> None:
    result = lint(ROOT, contract)
    assert result.returncode == 0, result.stdout


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A platform of empty rooms under the same rules; it shadows the real one in the linter's process."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for service in SERVICES:
        (tmp_path / service).mkdir()
        for name in ["__init__", *ROOMS]:
            (tmp_path / service / f"{name}.py").touch()
    for package in ("loopwright", "loopwright/contracts", "loopwright/testing"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "loopwright" / "errors.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_the_model_platform_is_clean(model: Path) -> None:
    result = lint(model)
    assert result.returncode == 0, result.stdout
    assert f"{len(CONTRACTS)} kept, 0 broken" in result.stdout


@pytest.mark.parametrize(
    ("contract", "module", "line"),
    [
        ("rooms", "dataset_svc/domain.py", "import dataset_svc.store"),
        ("rooms", "dataset_svc/handlers.py", "import dataset_svc.api"),
        ("rooms", "feedback_svc/api.py", "import feedback_svc.events"),
        ("rooms", "trainer_svc/handlers.py", "import trainer_svc.jobs"),
        ("rooms", "trainer_svc/handlers.py", "import trainer_svc.settings"),
        ("rooms", "registry_svc/store.py", "import registry_svc.adapters"),
        ("rooms", "router_svc/utils.py", ""),
        ("services-apart", "dataset_svc/adapters.py", "import trainer_svc.domain"),
        ("services-above-common", "loopwright/errors.py", "import dataset_svc.domain"),
        ("pure", "dataset_svc/domain.py", "import sqlalchemy"),
        ("pure", "feedback_svc/domain.py", "import opentelemetry.trace"),
        ("pure", "loopwright/contracts/__init__.py", "import fastapi"),
        ("store", "dataset_svc/api.py", "import dataset_svc.store"),
        ("store", "feedback_svc/events.py", "import feedback_svc.store"),
        ("store", "trainer_svc/settings.py", "import trainer_svc.store"),
        ("tests-aside", "dataset_svc/handlers.py", "import loopwright.testing"),
        ("tests-aside", "loopwright/errors.py", "import pytest"),
        ("no-circles", "loopwright/errors.py", "import loopwright.contracts"),
    ],
)
def test_a_breach_of_an_import_rule_is_found(model: Path, contract: str, module: str, line: str) -> None:
    (model / module).write_text(f"{line}\n")
    if contract == "no-circles":
        (model / "loopwright/contracts/__init__.py").write_text("import loopwright.errors\n")

    result = lint(model, contract)

    assert result.returncode == 1, result.stdout
    assert "BROKEN" in result.stdout


def test_the_router_loads_neither_database_nor_ciphers() -> None:
    """They would be half of each worker's memory; who needs them loads them by himself."""
    heavy = ["sqlalchemy", "asyncpg", "faststream", "cryptography", "joserfc", "aiohttp"]
    found = f"import sys, router_svc.main; print(*[name for name in {heavy} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", found], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []
