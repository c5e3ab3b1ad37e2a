"""JSON Schemas of the events, as producers and consumers in any language should read them."""

from pydantic.json_schema import models_json_schema

from loopwright.contracts.base import Event, JsonObject
from loopwright.contracts.registry import Topic

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(topic: Topic[Event]) -> JsonObject:
    """The payload's JSON Schema 2020-12; its `$id` is what the header `ce_dataschema` carries."""
    return {
        "$schema": DIALECT,
        "$id": f"loopwright:{topic.event_type}",
        "x-kafka-topic": topic.name,
        "x-kafka-key": topic.key,
        **topic.event.model_json_schema(mode="validation"),
    }


def component_schemas(events: tuple[type[Event], ...], *, ref_template: str) -> dict[str, JsonObject]:
    """Schemas of several events and of everything inside them, each value once, by class name.

    Args:
        ref_template: Form of a reference, with `{model}` for the class name.
    """
    _, document = models_json_schema([(event, "validation") for event in events], ref_template=ref_template)
    return document["$defs"]
