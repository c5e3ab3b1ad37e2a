"""Publishes the contracts for readers outside this code: `python -m loopwright.contracts.publish [--check]`.

Writes AsyncAPI, one JSON Schema per event and the pipeline's picture, and moves the frozen snapshots on where that
breaks no reader. A break is refused: declare the next version, or delete the snapshot while nobody reads it.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from loopwright.contracts.asyncapi import asyncapi_document, pipeline_graph
from loopwright.contracts.base import JsonObject
from loopwright.contracts.compatibility import compatibility_problems
from loopwright.contracts.registry import TOPICS
from loopwright.contracts.schemas import schema_of

DOCS_DIR = Path("docs/asyncapi")
SNAPSHOT_DIR = Path(__file__).parent / "snapshots"


def documents() -> dict[str, str]:
    """Every generated document, by its path below the documents' folder."""
    schemas = {f"schemas/{topic.event_type}.json": _dump(schema_of(topic)) for topic in TOPICS}
    return {"asyncapi.json": _dump(asyncapi_document()), "pipeline.md": pipeline_graph(), **schemas}


def snapshots() -> dict[str, str]:
    """Today's schemas, as the snapshot folder should hold them."""
    return {f"{topic.event_type}.json": _dump(schema_of(topic)) for topic in TOPICS}


def broken_promises(folder: Path) -> Iterator[str]:
    """Differences to the frozen snapshots that a reader of the same version would trip over."""
    for topic in TOPICS:
        path = folder / f"{topic.event_type}.json"
        if path.exists():
            frozen: JsonObject = json.loads(path.read_text())
            for problem in compatibility_problems(frozen, schema_of(topic)):
                yield f"{topic.event_type}: {problem}"


def stale_files(folder: Path, wanted: dict[str, str]) -> Iterator[Path]:
    """Files of a folder that are missing, differ from what is wanted, or are wanted no more."""
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            yield path
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) not in wanted:
            yield path


def write_files(folder: Path, wanted: dict[str, str]) -> None:
    """Makes a folder hold exactly these files."""
    for path in list(stale_files(folder, wanted)):
        path.unlink(missing_ok=True)
    for name, text in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _dump(document: JsonObject) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if something is stale or broken")
    parser.add_argument("--docs", type=Path, default=DOCS_DIR, help="folder of the generated documents")
    parser.add_argument("--snapshots", type=Path, default=SNAPSHOT_DIR, help="folder of the frozen schemas")
    arguments = parser.parse_args()
    folders = {arguments.docs: documents(), arguments.snapshots: snapshots()}
    problems = list(broken_promises(arguments.snapshots))
    if arguments.check:
        problems += [f"stale: {path}" for folder, wanted in folders.items() for path in stale_files(folder, wanted)]
    elif not problems:
        for folder, wanted in folders.items():
            write_files(folder, wanted)
    sys.exit("\n".join(problems) or None)


if __name__ == "__main__":
    main()
