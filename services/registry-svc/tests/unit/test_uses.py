"""What a change of a deployment is for each version in it."""

from datetime import UTC, datetime

from registry_svc.domain.deployments import Deployment
from registry_svc.domain.models import VariantId
from registry_svc.domain.uses import UseKind, uses_of_change

BASE, FIRST, SECOND = VariantId("base", 1), VariantId("mood", 1), VariantId("mood", 2)


def a_deployment(champion: VariantId, *candidates: VariantId) -> Deployment:
    return Deployment(
        task_id="mood", revision=1, champion=champion, candidates=candidates, backend_urls=("http://v",),
        reason="why", changed_at=datetime(2026, 11, 22, tzinfo=UTC), changed_by="who",
    )  # fmt: skip


def uses(before: Deployment | None, after: Deployment, *earlier: VariantId):
    found = list(uses_of_change(before, after, [str(one) for one in earlier]))
    assert all((use.reason, use.by, use.task_id) == ("why", "who", "mood") for use in found)
    return [(use.variant, use.kind) for use in found]


def test_the_first_champion_is_promoted():
    assert uses(None, a_deployment(BASE)) == [(BASE, UseKind.PROMOTED)]


def test_a_candidate_is_deployed_promoted_and_its_rival_withdrawn():
    assert uses(a_deployment(BASE), a_deployment(BASE, FIRST), BASE) == [(FIRST, UseKind.DEPLOYED)]
    promoted = uses(a_deployment(BASE, FIRST), a_deployment(FIRST), BASE)
    assert promoted == [(FIRST, UseKind.PROMOTED), (BASE, UseKind.WITHDRAWN)]


def test_who_was_in_charge_before_is_rolled_back_to():
    back = uses(a_deployment(SECOND), a_deployment(FIRST), BASE, FIRST, SECOND)
    assert back == [(FIRST, UseKind.ROLLED_BACK_TO), (SECOND, UseKind.WITHDRAWN)]


def test_moved_servers_are_no_use():
    assert uses(a_deployment(BASE, FIRST), a_deployment(BASE, FIRST), BASE) == []
