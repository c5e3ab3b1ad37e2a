"""Events for tests: the published example of a topic, with the fields that matter changed."""

import json
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue

from loopwright.contracts.base import Event, JsonObject
from loopwright.contracts.registry import TOPICS, Topic

EXAMPLE_DIR = Path(__file__).parents[1] / "contracts" / "examples"

E = TypeVar("E", bound=Event)


def example_payload(topic: Topic[Event]) -> JsonObject:
    """The published example of a topic's event, as it lies in its file; a topic of a test's own has none."""
    published = next(known for known in TOPICS if known.event is topic.event)
    payload: JsonObject = json.loads((EXAMPLE_DIR / f"{published.event_type}.json").read_text())
    return payload


def an_event(topic: Topic[E], **changes: JsonValue) -> E:
    """The published example of a topic; `changes` replace whole fields."""
    return topic.event.model_validate_json(json.dumps(example_payload(topic) | changes))
