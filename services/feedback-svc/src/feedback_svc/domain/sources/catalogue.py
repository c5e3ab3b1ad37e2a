"""Every source there is, by name and by kind of record: a further one is a file of its own and a line here."""

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import JsonValue, ValidationError

from feedback_svc.domain.sources.incident_evidence import INCIDENT_EVIDENCE
from feedback_svc.domain.sources.knowledge_assistant import KNOWLEDGE_ASSISTANT
from feedback_svc.domain.sources.label_corrections import LABEL_CORRECTIONS
from feedback_svc.domain.sources.log_batches import LOG_BATCHES
from feedback_svc.domain.sources.service_requests import SERVICE_REQUESTS
from feedback_svc.domain.sources.source import RecordSchema, Source

SOURCES: Mapping[str, Source] = MappingProxyType({
    source.name: source
    for source in (KNOWLEDGE_ASSISTANT, SERVICE_REQUESTS, INCIDENT_EVIDENCE, LOG_BATCHES, LABEL_CORRECTIONS)
})  # fmt: skip
SOURCE_OF_LOGS = LOG_BATCHES
_BY_KIND = {kind: source for source in SOURCES.values() for kind in source.schemas}
KINDS = tuple(sorted(_BY_KIND))
_MOST_REASON = 300


class Misfit(Exception):
    """A record does not say what its kind must say; names the field, never what it held."""


def source_of(kind: str) -> Source | None:
    """The source that reads records of a kind; None if nobody does."""
    return _BY_KIND.get(kind)


def read_record(kind: str, content: JsonValue) -> RecordSchema:
    """A record as its kind's schema has it.

    Raises:
        Misfit: it does not fit.
        KeyError: no source reads this kind.
    """
    try:
        return _BY_KIND[kind].schemas[kind].model_validate(content)
    except ValidationError as error:
        raise Misfit(_in_words(error)) from error


def _in_words(error: ValidationError) -> str:
    wrong = [
        f"{'.'.join(str(part) for part in entry['loc'][:4]) or 'record'}: {entry['msg']}"
        for entry in error.errors(include_url=False, include_input=False, include_context=False)[:5]
    ]
    return "; ".join(wrong)[:_MOST_REASON]
