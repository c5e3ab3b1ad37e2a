"""Bodies of the live door, and what its streams carry."""

from datetime import datetime

from pydantic import BaseModel, Field


class LogPage(BaseModel):
    """A part of a job's log."""

    job_id: str
    lines: tuple[str, ...] = Field(description="without their ends; one longer than 16 KiB comes in pieces")
    offset: int = Field(description="byte at which the first line begins; as `before`, it gives the lines above")
    next_offset: int = Field(description="byte after the last line; as `offset` or in a stream, it goes on")
    size_bytes: int = Field(description="of the whole log")
    unfinished: str = Field(description="beginning of a line after these that is still being written")
    notice: str | None = Field(description="why this may not be the whole log")


class LogLines(BaseModel):
    """Lines that were written since the event before."""

    lines: tuple[str, ...]


class Notice(BaseModel):
    """Something that a follower should know."""

    text: str


class Ended(BaseModel):
    """The job has ended, and everything was sent."""

    job_id: str
    state: str = Field(description="succeeded, failed, stopped or deleted")
    reason: str | None = Field(description="why")


class SeriesPoint(BaseModel):
    """One figure."""

    step: int = Field(description="optimizer steps done")
    value: float
    at: datetime


class Series(BaseModel):
    """One figure over the steps."""

    name: str
    total_points: int = Field(description="how many there are, shown here or not")
    points: tuple[SeriesPoint, ...] = Field(description="in the order of their steps")


class SeriesSet(BaseModel):
    """Figures of a job."""

    job_id: str
    series: tuple[Series, ...]
