"""Vectors of texts: from a model behind an endpoint, or by feature hashing where there is none."""

import asyncio
import math
from collections.abc import Sequence
from typing import Annotated, Protocol

import msgspec
import numpy as np

from dataset_svc.adapters.model_endpoint import EndpointRefused, ModelEndpoint
from dataset_svc.domain.texts import hashed_embeddings

_BATCH = 64
_MOST_DIMENSIONS = 4096

Vector = list[float]


class Embedder(Protocol):
    """Makes unit vectors.

    Attributes:
        name: Vectors of one name can be compared; an index keeps to the one that it began with.
    """

    @property
    def name(self) -> str: ...

    async def embed(self, texts: Sequence[str], terms: Sequence[Sequence[str]]) -> list[Vector]:
        """A vector for each text, given its search terms as well.

        Raises:
            ServingUnavailable: the model's endpoint is away or says no.
        """
        ...

    async def close(self) -> None: ...


class HashingEmbedder:
    """Likeness of form alone; see `domain/texts/hashed_embeddings.py`."""

    name = hashed_embeddings.NAME

    async def embed(self, texts: Sequence[str], terms: Sequence[Sequence[str]]) -> list[Vector]:
        return await asyncio.to_thread(_hashed, texts, terms)

    async def close(self) -> None:
        """Holds nothing."""


def _hashed(texts: Sequence[str], terms: Sequence[Sequence[str]]) -> list[Vector]:
    return [hashed_embeddings.embed(text, own).tolist() for text, own in zip(texts, terms, strict=True)]


class _Embedding(msgspec.Struct, frozen=True):
    index: int
    embedding: Annotated[list[float], msgspec.Meta(min_length=1, max_length=_MOST_DIMENSIONS)]


class _Embeddings(msgspec.Struct, frozen=True):
    data: list[_Embedding]


class EndpointEmbedder:
    """A model behind `/v1/embeddings`."""

    def __init__(self, endpoint: ModelEndpoint) -> None:
        self._endpoint = endpoint

    @property
    def name(self) -> str:
        return f"model:{self._endpoint.model}"

    async def embed(self, texts: Sequence[str], terms: Sequence[Sequence[str]]) -> list[Vector]:
        del terms  # the model has its own tokeniser
        vectors: list[Vector] = []
        for place in range(0, len(texts), _BATCH):
            batch = list(texts[place : place + _BATCH])
            answer = await self._endpoint.post("embeddings", {"input": list(batch), "encoding_format": "float"})
            vectors += _read(answer, len(batch))
        return vectors

    async def close(self) -> None:
        await self._endpoint.close()


def _read(answer: bytes, wanted: int) -> list[Vector]:
    """Unit vectors in the order of the texts.

    Raises:
        EndpointRefused: the answer has another shape, number or length, or holds what is no number.
    """
    try:
        found = sorted(msgspec.json.decode(answer, type=_Embeddings).data, key=lambda one: one.index)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise EndpointRefused("embeddings.unreadable", "the endpoint's vectors cannot be read") from error
    lengths = {len(one.embedding) for one in found}
    if [one.index for one in found] != list(range(wanted)) or len(lengths) != 1:
        raise EndpointRefused("embeddings.wrong-number", "the endpoint gave other vectors than were asked for")
    return [_unit(one.embedding) for one in found]


def _unit(vector: Vector) -> Vector:
    length = math.hypot(*vector)
    if not math.isfinite(length) or length == 0:
        raise EndpointRefused("embeddings.no-vector", "the endpoint gave a vector without direction")
    return (np.asarray(vector) / length).tolist()
