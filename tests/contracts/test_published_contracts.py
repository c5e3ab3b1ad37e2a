"""Frozen schemas, examples and generated documents agree with the code."""

import json
from pathlib import Path

import jsonschema
import pytest

from loopwright.contracts.base import Event, JsonObject
from loopwright.contracts.publish import SNAPSHOT_DIR, broken_promises, documents, main, snapshots, stale_files
from loopwright.contracts.registry import TOPICS, Topic
from loopwright.contracts.schemas import DIALECT, schema_of
from loopwright.testing.examples import EXAMPLE_DIR, example_payload

ROOT = Path(__file__).parents[2]
every_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def snapshot_of(topic: Topic[Event]) -> JsonObject:
    return json.loads((SNAPSHOT_DIR / f"{topic.event_type}.json").read_text())


def test_every_event_has_a_snapshot_and_no_snapshot_is_an_orphan() -> None:
    assert {path.name for path in SNAPSHOT_DIR.iterdir()} == set(snapshots())


def test_every_event_has_an_example_and_no_example_is_an_orphan() -> None:
    assert {path.name for path in EXAMPLE_DIR.iterdir()} == {f"{topic.event_type}.json" for topic in TOPICS}


def test_no_promise_of_a_published_version_is_broken() -> None:
    assert list(broken_promises(SNAPSHOT_DIR)) == [], "declare the next version of the event instead"


def test_the_generated_documents_are_those_of_the_registry() -> None:
    stale = [*stale_files(ROOT / "docs/asyncapi", documents()), *stale_files(SNAPSHOT_DIR, snapshots())]
    assert stale == [], "run: python -m loopwright.contracts.publish"


@every_topic
def test_the_example_parses_with_todays_model(topic: Topic[Event]) -> None:
    event = topic.event.model_validate_json(json.dumps(example_payload(topic)))

    assert topic.key_of(event)
    assert set(example_payload(topic)) == set(topic.event.model_fields), "an example shows every field"


@every_topic
def test_the_example_is_valid_under_the_frozen_schema(topic: Topic[Event]) -> None:
    validator = jsonschema.Draft202012Validator(
        snapshot_of(topic), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    validator.validate(example_payload(topic))


@every_topic
def test_what_we_write_is_valid_under_the_frozen_schema(topic: Topic[Event]) -> None:
    event = topic.event.model_validate_json(json.dumps(example_payload(topic)))

    jsonschema.Draft202012Validator(snapshot_of(topic)).validate(json.loads(event.model_dump_json()))


@every_topic
def test_readers_ignore_fields_that_they_do_not_know(topic: Topic[Event]) -> None:
    payload = example_payload(topic)

    assert topic.event.model_validate(payload | {"of_a_later_release": {"x": [1]}}) == topic.event.model_validate(
        payload
    )


@every_topic
def test_every_schema_is_a_valid_one_of_its_dialect_and_describes_every_field(topic: Topic[Event]) -> None:
    schema = schema_of(topic)
    jsonschema.Draft202012Validator.check_schema(schema)

    assert schema["$schema"] == DIALECT
    holders = [schema, *schema.get("$defs", {}).values()]
    silent = [
        name for holder in holders for name, field in holder.get("properties", {}).items() if "description" not in field
    ]
    assert silent == []


class TestPublish:
    @pytest.fixture
    def folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
        docs, frozen = tmp_path / "docs", tmp_path / "snapshots"
        docs.mkdir()
        frozen.mkdir()
        self._monkeypatch = monkeypatch
        return docs, frozen

    def run(self, folders: tuple[Path, Path], *flags: str) -> str | None:
        docs, frozen = folders
        self._monkeypatch.setattr("sys.argv", ["publish", "--docs", str(docs), "--snapshots", str(frozen), *flags])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    def test_publishes_what_its_own_check_accepts(self, folders: tuple[Path, Path]) -> None:
        assert "stale" in self.run(folders, "--check")
        assert self.run(folders) is None
        assert self.run(folders, "--check") is None

    def test_removes_documents_of_events_that_are_gone(self, folders: tuple[Path, Path]) -> None:
        orphan = folders[0] / "schemas" / "loopwright.cake.baked.v1.json"
        orphan.parent.mkdir()
        orphan.write_text("{}")

        assert str(orphan) in self.run(folders, "--check")
        assert self.run(folders) is None
        assert not orphan.exists()

    def test_refuses_to_overwrite_a_promise_that_it_would_break(self, folders: tuple[Path, Path]) -> None:
        assert self.run(folders) is None
        topic = TOPICS[0]
        path = folders[1] / f"{topic.event_type}.json"
        frozen = json.loads(path.read_text())
        frozen["properties"]["once_promised"] = {"type": "string"}
        path.write_text(json.dumps(frozen))

        assert "event.once_promised: was removed or renamed" in self.run(folders)
        assert "once_promised" in path.read_text()
