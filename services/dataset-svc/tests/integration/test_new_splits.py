"""What a version decided on questions, users and documents holds for later ones, and how it may be divided anew."""

import pytest

from loopwright.contracts.registry import DATASET_REQUESTED, DATASET_VALIDATED, USER_ERASED
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_record

pytestmark = pytest.mark.integration
PREFIX = "/api/v1/admin/training/datasets"
PARTS = ("train", "validation", "held_out")


@pytest.fixture
def engineer(mint):
    return mint.header("engineer")


async def make_version(world, lines, **changes):
    """A version by event; its row."""
    await world.consume(DATASET_REQUESTED, a_record(await world.request(lines, **changes)))
    await world.build_all()
    return (await world.rows("versions", order_by="created_at"))[-1]


async def ids_by_part(world, row):
    samples = [one for one in await world.rows("samples") if one.version_id == row.version_id]
    return {name: {one.sample_id for one in samples if one.split == name} for name in PARTS}


async def divide(world, api, headers, row, **body):
    answer = await api.post(f"{PREFIX}/versions/{row.version_id}/split", headers=headers, json=body)
    await world.build_all()
    return answer


def of_groups(world, count, *, first=0):
    """Three lines of each group."""
    return [
        world._line(number, group=f"user {number // 3 - first // 3}", unit_hash=f"u{number // 3 - first // 3}")
        for number in range(first, first + 3 * count)
    ]


class TestGroups:
    async def test_a_user_is_on_one_side_in_every_version(self, world):
        sides = []
        for first in (0, 300, 600):
            row = await make_version(world, of_groups(world, 25, first=first))
            found = {}
            for name in PARTS:
                for sample in await world.split(getattr(row, name)):
                    found.setdefault(sample["group"], set()).add(name)
            sides.append(found)
        assert sides[0] == sides[1] == sides[2]
        assert {name for names in sides[0].values() for name in names} == set(PARTS)
        assert all(len(names) == 1 for names in sides[0].values())
        rows = await world.rows("groups")
        assert len(rows) == 25
        assert not any("user" in str(vars(row)) for row in rows)

    async def test_the_group_of_an_erased_person_is_forgotten_unless_others_are_in_it(self, world):
        lines = [*world.lines(30), *of_groups(world, 2, first=300)]
        lines += [world._line(900, group="shared", unit_hash="u0"), world._line(901, group="shared", unit_hash="u9")]
        await make_version(world, lines)
        assert len(await world.rows("groups")) == 3
        await world.consume(USER_ERASED, a_record(an_event(USER_ERASED, unit_hash="u0")))
        assert len(await world.rows("groups")) == 2
        await world.consume(USER_ERASED, a_record(an_event(USER_ERASED, unit_hash="u1"), offset=1))
        assert len(await world.rows("groups")) == 1


class TestDividingAnew:
    async def test_a_new_version_has_the_same_samples_in_the_parts_asked_for(self, world, api, engineer):
        first = await make_version(world, world.lines(100))
        before = await ids_by_part(world, first)
        answer = await divide(world, api, engineer, first, held_out_share_0_1=0.4, validation_share_0_1=0.25)
        assert answer.status_code == 202, answer.text
        said = answer.json()
        assert (said["version_id"], said["samples"], said["held_out"]) == (first.version_id, 100, 20)
        request = (await api.get(answer.headers["location"], headers=engineer)).json()
        assert (request["state"], request["purpose"], request["rejected_because"]) == ("validated", "split", [])
        second = (await world.rows("versions", order_by="number"))[-1]
        after = await ids_by_part(world, second)
        assert {name: len(ids) for name, ids in after.items()} == {"train": 35, "validation": 25, "held_out": 40}
        assert before["held_out"] <= after["held_out"]
        assert set().union(*after.values()) == set().union(*before.values())
        assert (second.number, second.parent_version_id) == (2, first.version_id)
        assert len(await world.announced(DATASET_VALIDATED)) == 2
        samples = await world.rows("samples")
        lines = [{(one.sample_id, one.content_sha256) for one in samples if one.version_id == row.version_id} for row in (first, second)]  # fmt: skip
        assert lines[0] == lines[1]

    async def test_later_versions_keep_what_the_new_split_decided(self, world, api, engineer):
        first = await make_version(world, world.lines(100))
        await divide(world, api, engineer, first, held_out_share_0_1=0.5, validation_share_0_1=0)
        anew = await ids_by_part(world, (await world.rows("versions", order_by="number"))[-1])
        assert (len(anew["held_out"]), anew["validation"]) == (50, set())
        third = await ids_by_part(world, await make_version(world, world.lines(100)))
        assert third == anew

    async def test_a_version_that_holds_what_a_later_one_held_out_cannot_train_on_it(self, world, api, engineer):
        first = await make_version(world, world.lines(100))
        await divide(world, api, engineer, first, held_out_share_0_1=0.5, validation_share_0_1=0.1)
        again = await divide(world, api, engineer, first, held_out_share_0_1=0.3, validation_share_0_1=0.1)
        assert (again.status_code, again.json()["code"]) == (409, "dataset.held-out-stays")
        assert again.json()["facts"] == {"held_out_samples": 50, "samples": 100, "least_held_out_share_0_1": 0.5}
        assert len(await world.rows("requests")) == 2

    async def test_shares_as_they_were_make_the_same_parts(self, world, api, engineer):
        first = await make_version(world, world.lines(100))
        answer = await divide(world, api, engineer, first, held_out_share_0_1=0.2, validation_share_0_1=0.1)
        assert answer.status_code == 202
        one, two = await world.rows("versions", order_by="number")
        assert (one.content_sha256, one.version_id != two.version_id) == (two.content_sha256, True)

    async def test_groups_and_older_versions_without_history_are_divided_too(self, world, api, engineer):
        first = await make_version(world, of_groups(world, 20))
        await world.execute("UPDATE dataset.versions SET manifest = NULL")
        answer = await divide(world, api, engineer, first, held_out_share_0_1=0.35, validation_share_0_1=0.1)
        assert answer.status_code == 202, answer.text
        second = (await world.rows("versions", order_by="number"))[-1]
        groups = [{one["group"] for one in await world.split(getattr(second, name))} for name in PARTS]
        assert sum(map(len, groups)) == 20
        assert abs(second.held_out["samples"] - 21) <= 3

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"held_out_share_0_1": 0.1, "validation_share_0_1": 0.1}, 409),
            ({"held_out_share_0_1": 0.5, "validation_share_0_1": 0.5}, 422),
            ({"held_out_share_0_1": 1, "validation_share_0_1": 0}, 422),
            ({"held_out_share_0_1": 0.3, "validation_share_0_1": -0.1}, 422),
            ({"held_out_share_0_1": "NaN", "validation_share_0_1": 0.1}, 422),
            ({"held_out_share_0_1": 0.3}, 422),
            ({"held_out_share_0_1": 0.3, "validation_share_0_1": 0.1, "seed": 1}, 422),
        ],
    )
    async def test_what_cannot_be_asked_for_is_a_problem_and_queues_nothing(self, world, api, engineer, body, status):
        row = await make_version(world, world.lines(60))
        answer = await divide(world, api, engineer, row, **body)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert len(await world.rows("requests")) == 1

    async def test_only_engineers_divide_and_only_what_is_there(self, api, mint, engineer):
        body = {"held_out_share_0_1": 0.3, "validation_share_0_1": 0.1}
        path = f"{PREFIX}/versions/x/split"
        for headers, status in (({}, 401), (mint.header("viewer"), 403), (engineer, 404)):
            assert (await api.post(path, headers=headers, json=body)).status_code == status
