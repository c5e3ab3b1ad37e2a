"""Modules that are compiled to C hold nothing that the compiler takes for something else without a word."""

import ast
import tomllib
from pathlib import Path

import pytest

SERVICE = Path(__file__).parents[2] / "services/router-svc"
MODULES = tomllib.loads((SERVICE / "pyproject.toml").read_text())["tool"]["loopwright"]["native"]
# a class of ours that inherits from an interpreted one has no constructor of its own as C: raising it ends the process
BASES = {"Protocol", "Enum", "IntEnum", "StrEnum", "NamedTuple", "Collector"}


@pytest.mark.parametrize("module", MODULES)
def test_classes_have_no_keywords_and_no_interpreted_base(module: str) -> None:
    tree = ast.parse((SERVICE / "src/router_svc" / module).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            assert node.keywords == [], f"{node.name}: mypyc drops keywords of a class (shapes.py is for such classes)"
            assert {ast.unparse(base) for base in node.bases} <= BASES, node.name
