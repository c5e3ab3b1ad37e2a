"""Cleans the history in object storage: packs without the words of a person, and manifests that name those packs."""

import asyncio
from collections.abc import Mapping

from dataset_svc.adapters.version_packs import MANIFEST_TYPE, VersionPacks
from dataset_svc.domain.deletions import Rows
from dataset_svc.domain.versions.blanking import PackCut, blanked, cuts_of, with_packs_replaced
from dataset_svc.domain.versions.row_packs import StoredObject, compress, decompress
from loopwright.contracts.base import Artifact
from loopwright.errors import StoreUnavailable
from loopwright.storage import Storage

_KIND = "dataset-history"


async def blank_rows(storage: Storage, packs: VersionPacks, manifest: Artifact, rows: Rows) -> dict[str, StoredObject]:
    """Stores the packs of a history again without some rows of its version; the packs before stay where they are.

    Returns:
        The new packs, by the URIs of those that they replace.

    Raises:
        StoreUnavailable: storage is away, or the manifest is gone.
    """
    snapshot = (await packs.open(manifest)).snapshot
    replaced: dict[str, StoredObject] = {}
    for cut in cuts_of(snapshot, rows):
        new = await _blank(storage, cut)
        if new is not None and new.uri != cut.pack.object.uri:
            replaced[cut.pack.object.uri] = new
    return replaced


async def _blank(storage: Storage, cut: PackCut) -> StoredObject | None:
    old = cut.pack.object
    try:
        stored = await storage.read_bytes(Artifact(uri=old.uri, sha256=old.sha256, size_bytes=old.size_bytes))
    except StoreUnavailable as error:
        if error.code == "storage.object-missing":
            return None  # gone already is as clean as can be
        raise
    lines = await asyncio.to_thread(decompress, stored, size_bytes=cut.size_bytes)
    content = await asyncio.to_thread(lambda: compress([blanked(lines, cut.spans)]))
    new = await storage.put_bytes(content, kind=_KIND, suffix=".pack", media_type="application/octet-stream")
    return StoredObject(uri=new.uri, sha256=new.sha256, size_bytes=new.size_bytes)


async def name_other_packs(
    storage: Storage, manifest: Artifact, replaced: Mapping[str, StoredObject]
) -> Artifact | None:
    """Stores a manifest again with other packs; None if it names none of those that were replaced."""
    content = with_packs_replaced(await storage.read_bytes(manifest), replaced)
    if content is None:
        return None
    return await storage.put_bytes(content, kind=_KIND, suffix=".manifest", media_type=MANIFEST_TYPE)
