"""Ids in paths: text that a database can be asked for."""

from typing import Annotated

from fastapi import Path

_ID = Path(max_length=200, pattern=r"^[^\x00]+$")
DatasetId = Annotated[str, _ID]
VersionId = Annotated[str, _ID]
RequestId = Annotated[str, _ID]
SampleId = Annotated[str, _ID]
UnitHash = Annotated[str, _ID]
RefName = Annotated[str, _ID]
PathId = Annotated[str, _ID]
Address = Annotated[str, Path(max_length=200, pattern=r"^[^\x00]+$", description="id, number, branch, tag or `latest`")]
