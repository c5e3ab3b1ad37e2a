"""Bodies of requests, and answers that are not read models."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return text


Text = Annotated[str, Field(max_length=2000), AfterValidator(_without_nul)]


class StatusChange(BaseModel):
    """Why a dataset or version is deprecated or archived."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[Text, Field(min_length=1, description="for people")]


class Accepted(BaseModel):
    """An upload that is being built; its state is at `requests/<request_id>`."""

    request_id: str
    dataset_name: str
    task_id: str
    size_bytes: int
