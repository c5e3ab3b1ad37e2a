"""What readers see, and lists of it."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from loopwright.pages import Page, Window
from registry_svc.store.pages import Paged

T = TypeVar("T")
V = TypeVar("V", bound=BaseModel)


class View(BaseModel):
    """Something as readers of the API see it."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


def page_of(paged: Paged[T], window: Window, view: Callable[[T], V]) -> Page[V]:
    """Shows a part of a list."""
    items = tuple(view(item) for item in paged.items)
    return Page(items=items, total=paged.total, limit=window.limit, offset=window.offset)
