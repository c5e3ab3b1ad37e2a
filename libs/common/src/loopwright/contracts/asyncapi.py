"""The platform's AsyncAPI 3.0 document and its picture, drawn from the registry."""

from collections.abc import Iterator, Mapping

from loopwright.contracts.base import Event, JsonObject
from loopwright.contracts.kafka_settings import DEAD_LETTER_PARTITIONS, dead_letter_settings, settings_of
from loopwright.contracts.registry import TOPICS, Party, Topic
from loopwright.contracts.schemas import component_schemas

# router-svc reads compacted topics from their start, in no group: every worker needs all of them
_IN_GROUPS = frozenset({Party.DATASET, Party.TRAINER, Party.REGISTRY, Party.FEEDBACK})
_TEXT: JsonObject = {"type": "string"}
_KAFKA_BINDING = "0.5.0"  # version of the AsyncAPI Kafka bindings
_ENVELOPE: JsonObject = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": _TEXT | {"description": "same id, same fact: consumers act on it once"},
        "ce_source": _TEXT | {"description": "URI reference of who announced it"},
        "ce_time": _TEXT | {"format": "date-time", "description": "when it was announced"},
        "ce_correlationid": _TEXT | {"description": "id of the event that began the chain"},
        "ce_causationid": _TEXT | {"description": "id of the event whose handling announced this one"},
        "content-type": {"const": "application/json"},
        "traceparent": _TEXT | {"description": "W3C trace context of the announcing code"},
    },
}
_DEAD_LETTER_HEADERS: JsonObject = {
    "type": "object",
    "required": ["dlq_code", "dlq_reason", "dlq_position", "dlq_group", "dlq_at"],
    "properties": {
        "dlq_code": _TEXT | {"description": "stable code of what went wrong"},
        "dlq_reason": _TEXT | {"description": "one sentence for a person"},
        "dlq_position": _TEXT | {"description": "topic:partition:offset of the record"},
        "dlq_group": _TEXT | {"description": "consumer group that could not handle it"},
        "dlq_at": _TEXT | {"format": "date-time", "description": "when it was set aside"},
    },
}


def asyncapi_document() -> JsonObject:
    """Every channel, message and operation of the platform."""
    channels: JsonObject = {}
    operations: JsonObject = {}
    for topic in TOPICS:
        channels |= _channels_of(topic)
        operations |= dict(_operations_of(topic))
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Loopwright events",
            "version": "1.0.0",
            "description": "Facts on Kafka, CloudEvents 1.0 in binary mode. Delivery is at least once: the same ce_id "
            "is the same fact. What a consumer cannot handle goes to the topic's dead-letter channel.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": _components(),
    }


def _components() -> JsonObject:
    events = tuple(topic.event for topic in TOPICS)
    schemas = component_schemas(events, ref_template="#/components/schemas/{model}")
    messages: JsonObject = {topic.event.__name__: _message_of(topic) for topic in TOPICS}
    messages["DeadLetter"] = _dead_letter()
    return {"messages": messages, "schemas": dict(sorted(schemas.items()))}


def pipeline_graph() -> str:
    """Mermaid picture: producers → topics → consumers."""
    lines = ["# Who tells whom", "", "Drawn from the contract registry; do not edit.", "", "```mermaid", "flowchart LR"]
    lines += [f'  {_node(party)}["{party}"]' for party in Party]
    for topic in TOPICS:
        shape = ("[(", ")]") if topic.retention is None else ("([", "])")
        lines.append(f'  {_node(topic.name)}{shape[0]}"{topic.name}"{shape[1]}')
        lines += [f"  {_node(producer)} --> {_node(topic.name)}" for producer in topic.producers]
        lines += [f"  {_node(topic.name)} --> {_node(consumer)}" for consumer in topic.consumers]
    lines += ["```", "", "Cylinders are compacted topics: read from the start, they give the current state.", ""]
    lines += ["| topic | key | partitions | kept | what it says |", "|---|---|---|---|---|"]
    lines += [f"| `{t.name}` | `{t.key}` | {t.partitions} | {_kept(t)} | {t.description} |" for t in TOPICS]
    return "\n".join(lines) + "\n"


def _channels_of(topic: Topic[Event]) -> JsonObject:
    name = topic.event.__name__
    return {
        topic.name: {
            "address": topic.name,
            "title": name,
            "description": f"{topic.description} Partitioned by `{topic.key}`.",
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            "bindings": {"kafka": _kafka_channel(topic.name, topic.partitions, settings_of(topic))},
        },
        topic.dead_letter_name: {
            "address": topic.dead_letter_name,
            "title": f"Dead letters of {topic.name}",
            "description": "Records that a consumer could not handle, as they came, with the reason in their headers.",
            "messages": {"DeadLetter": {"$ref": "#/components/messages/DeadLetter"}},
            "bindings": {
                "kafka": _kafka_channel(topic.dead_letter_name, DEAD_LETTER_PARTITIONS, dead_letter_settings())
            },
        },
    }


def _operations_of(topic: Topic[Event]) -> Iterator[tuple[str, JsonObject]]:
    name, dead = topic.event.__name__, topic.dead_letter_name
    for party in topic.producers:
        yield f"{party}.send.{topic.name}", _operation("send", topic.name, name)
    for party in topic.consumers:
        receive = _operation("receive", topic.name, name)
        if party in _IN_GROUPS:
            group: JsonObject = {"type": "string", "const": f"{party}.{topic.name}"}
            receive["bindings"] = {"kafka": {"groupId": group, "bindingVersion": _KAFKA_BINDING}}
        if party is not Party.OPERATORS:
            yield f"{party}.send.{dead}", _operation("send", dead, "DeadLetter")
        yield f"{party}.receive.{topic.name}", receive
    yield f"{Party.OPERATORS}.receive.{dead}", _operation("receive", dead, "DeadLetter")


def _operation(action: str, channel: str, message: str) -> JsonObject:
    place = f"#/channels/{channel}"
    return {"action": action, "channel": {"$ref": place}, "messages": [{"$ref": f"{place}/messages/{message}"}]}


def _message_of(topic: Topic[Event]) -> JsonObject:
    name = topic.event.__name__
    key: JsonObject = {"type": "string", "description": topic.key}
    of_type: JsonObject = {
        "type": "object",
        "properties": {
            "ce_type": {"const": topic.event_type},
            "ce_dataschema": {"const": f"loopwright:{topic.event_type}"},
        },
    }
    return {
        "name": topic.event_type,
        "title": name,
        "summary": (topic.event.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/json",
        "headers": {"allOf": [_ENVELOPE, of_type]},
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "bindings": {"kafka": {"key": key, "bindingVersion": _KAFKA_BINDING}},
    }


def _dead_letter() -> JsonObject:
    return {
        "name": "dead-letter",
        "title": "DeadLetter",
        "summary": "A record as it came; its own headers are kept beside these.",
        "headers": _DEAD_LETTER_HEADERS,
        "payload": {"description": "whatever the record held, also what is no JSON"},
    }


def _kafka_channel(name: str, partitions: int, settings: Mapping[str, str]) -> JsonObject:
    configuration: JsonObject = {"cleanup.policy": [settings["cleanup.policy"]]}
    for figure in ("retention.ms", "max.message.bytes"):
        if figure in settings:
            configuration[figure] = int(settings[figure])
    return {
        "topic": name,
        "partitions": partitions,
        "topicConfiguration": configuration,
        "bindingVersion": _KAFKA_BINDING,
    }


def _node(name: str) -> str:
    return name.replace(".", "_").replace("-", "_")


def _kept(topic: Topic[Event]) -> str:
    return "newest per key" if topic.retention is None else f"{topic.retention.days} days"
