"""Ratings carry what their ids say, only to the tenant they are for, and a batch is refused by the places of the bad."""

import json
import time
from pathlib import Path

import pytest

from loopwright.errors import Expired, NotPermitted
from router_svc.adapters.spool import Spool, SpoolLimits
from router_svc.domain.inference_ids import NONCE_BYTES, InferenceFacts, InferenceIds
from router_svc.handlers.rating import RatingDesk, RatingDraft, accept_ratings

IDS = InferenceIds(b"k" * 32)
DAY_MS = 86_400_000


@pytest.fixture
def desk(tmp_path: Path) -> RatingDesk:
    spool = Spool.claim(tmp_path, limits=SpoolLimits(segment_bytes=1 << 20, total_bytes=1 << 22))
    return RatingDesk(ids=IDS, spool=spool, max_age_ms=90 * DAY_MS)


def a_draft(*, tenant: str | None = None, ids: InferenceIds = IDS, age_days: int = 0) -> RatingDraft:
    facts = InferenceFacts(
        task_id="log-anomaly", task_version=3, experiment_id="exp-1", variant_id="log-anomaly:1",
        unit_hash=IDS.hash_unit("ada"), issued_ms=time.time_ns() // 1_000_000 - age_days * DAY_MS,
        epoch=5, arm=1, tenant_hash=ids.hash_tenant(tenant),
    )  # fmt: skip
    inference_id = ids.sign(facts, nonce=bytes(NONCE_BYTES))
    return RatingDraft(
        inference_id=inference_id, metric="stars", value=4, comment=None, correction=None, rater=None
    )  # fmt: skip


def spooled(desk: RatingDesk) -> list[dict[str, object]]:
    records, _ = desk.spool.read(100)
    return [json.loads(record.value or b"") for record in records]


async def test_a_rating_carries_epoch_arm_and_tenant(desk: RatingDesk) -> None:
    (event,) = await accept_ratings(desk, [a_draft(tenant="acme")], tenant="acme")
    assert (event.experiment_id, event.epoch, event.arm, event.tenant) == ("exp-1", 5, 1, "acme")
    (written,) = spooled(desk)
    assert written["rating_id"] == event.rating_id


@pytest.mark.parametrize(("owner", "rater"), [("acme", "other"), ("acme", None), (None, "other")])
async def test_another_tenants_inference_cannot_be_rated(
    desk: RatingDesk, owner: str | None, rater: str | None
) -> None:
    with pytest.raises(NotPermitted) as refused:
        await accept_ratings(desk, [a_draft(tenant=owner)], tenant=rater)
    assert refused.value.code == "rating.other-tenant"
    assert spooled(desk) == []


async def test_a_batch_names_every_bad_rating_by_its_place_and_takes_none(desk: RatingDesk) -> None:
    old, forged = a_draft(age_days=91), a_draft(ids=InferenceIds(b"x" * 32))
    with pytest.raises(Expired) as refused:
        await accept_ratings(desk, [a_draft(), old, a_draft(), forged], tenant=None)
    assert refused.value.code == "rating.id-expired"
    assert refused.value.facts == {"ratings": "1, 3", "codes": "rating.id-expired, rating.forged-id"}
    assert spooled(desk) == []
