"""The shape of every list."""

from collections.abc import Callable
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from registry_svc.store.pages import Paged
from registry_svc.store.pages import Window as Window  # doors name it, and may not enter the store

T = TypeVar("T")
V = TypeVar("V", bound=BaseModel)


class View(BaseModel):
    """Something as readers of the API see it."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Page(View, Generic[V]):
    """A part of a list."""

    items: tuple[V, ...]
    total: int = Field(description="length of the whole list")
    limit: int = Field(description="most items of this part")
    offset: int = Field(description="items before this part")


def page_of(paged: Paged[T], window: Window, view: Callable[[T], V]) -> Page[V]:
    """Shows a part of a list."""
    items = tuple(view(item) for item in paged.items)
    return Page(items=items, total=paged.total, limit=window.limit, offset=window.offset)
