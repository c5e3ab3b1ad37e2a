"""An erasure from end to end: others are told, every byte of the person goes, and nothing of anybody else."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cramjam
import pytest

from dataset_svc.domain.deletions import Doomed, ObjectKind
from dataset_svc.handlers.deletions import doom_if_erased, take_deletion
from dataset_svc.handlers.merges import MergeOrder, compose, plan_merge, queue_merge
from dataset_svc.jobs.deletions import Deletions
from dataset_svc.queries.datasets import VersionView
from dataset_svc.queries.diffs import open_pair
from dataset_svc.store import deletions as queue
from loopwright.contracts.base import Artifact
from loopwright.contracts.registry import DATASET_DEPRECATED, DATASET_REQUESTED, USER_ERASED
from loopwright.errors import StoreUnavailable
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_record

pytestmark = pytest.mark.integration
VERSIONS = "/api/v1/admin/training/datasets/versions"
NAME = "only this person wrote of"  # in every question of the person, and nowhere else
NOT_OURS = "exports"  # what feedback-svc stored


@pytest.fixture
def deleting(world) -> Deletions:
    return Deletions(world.work, storage=world.storage, packs=world.workshop.packs)


@pytest.fixture
def engineer(mint):
    return mint.header("engineer")


def mine(world, count: int = 4, *, first: int = 0, unit_hash: str = "gone") -> list[bytes]:
    """Lines of the person."""
    return [
        world.a_line(f"{NAME} the {number * 7919}th node", sample_id=f"mine-{number}", unit_hash=unit_hash)
        for number in range(first, first + count)
    ]


async def add_version(world, lines, **changes):
    event = await world.request(lines, **changes)
    await world.consume(DATASET_REQUESTED, a_record(event))
    await world.build_all()
    [row] = [row for row in await world.rows("versions") if row.request_id == event.request_id]
    return row


async def erase(world, unit_hash: str = "gone", **changes) -> None:
    await world.consume(USER_ERASED, a_record(an_event(USER_ERASED, unit_hash=unit_hash, **changes)))


async def finish(deleting: Deletions) -> None:
    while await deleting.step():
        pass


def contents(world) -> Iterator[tuple[Path, bytes]]:
    """Every object in storage that this service stored, unpacked."""
    root = Path(world.storage._root.removeprefix("file://"))
    for path in root.rglob("*"):
        if path.is_file() and NOT_OURS not in path.relative_to(root).parts:
            packed = path.suffix in {".pack", ".origins"}
            yield path, bytes(cramjam.zstd.decompress(path.read_bytes())) if packed else path.read_bytes()


def traces(world) -> list[Path]:
    return [path for path, content in contents(world) if NAME.encode() in content or b"mine-" in content]


def there(artifact: dict) -> bool:
    return Path(artifact["uri"].removeprefix("file://")).exists()


def parts_of(row) -> dict[str, dict]:
    return {name: getattr(row, name)["artifact"] for name in ("train", "validation", "held_out")}


class TestErasure:
    async def test_is_announced_with_what_each_version_held(self, world):
        version = await add_version(world, [*world.lines(), *mine(world, 20)])
        await erase(world, erasure_id="era-7")

        [event] = await world.announced(DATASET_DEPRECATED)
        assert (event.version_id, event.dataset_name, event.version) == (version.version_id, "log-anomaly", 1)
        assert (event.reason, event.unit_hash, event.erasure_id) == ("erasure", "gone", "era-7")
        assert event.detail == "holds samples of a person whose data was erased (erasure era-7)"
        rows = [row for row in await world.rows("samples") if row.unit_hash == "gone"]
        held = event.erased_samples.model_dump()
        assert held == {name: sum(row.split == name for row in rows) for name in ("train", "validation", "held_out")}
        assert sum(held.values()) == 20
        hashes = (event.train_sha256, event.validation_sha256, event.held_out_sha256)
        assert hashes == tuple(artifact["sha256"] for artifact in parts_of(version).values())
        assert (event.content_sha256, event.manifest_sha256) == (version.content_sha256, version.manifest["sha256"])

    async def test_takes_every_byte_of_the_person_and_nothing_of_anybody_else(self, world, deleting, api, engineer):
        others = world.lines()
        before = await add_version(world, others)
        held = await add_version(world, [*others, *world.lines(10, first=200), *mine(world)])
        after = await add_version(world, [*others, *world.lines(10, first=200)])
        assert traces(world)
        wanted = {row.version_id: await self.texts(api, engineer, row) for row in (before, after)}

        await erase(world)
        await finish(deleting)

        assert traces(world) == []
        rows = {row.version_id: row for row in await world.rows("versions")}
        assert {number: row.status for row in rows.values() if (number := row.number)} == {1: "active", 2: "deprecated", 3: "active"}  # fmt: skip
        for version_id, texts in wanted.items():
            assert await self.texts(api, engineer, rows[version_id]) == texts
        assert not there(held.origins)
        assert not there(parts_of(held)["train"])
        assert [row for row in await world.rows("deletions") if row.deleted_at is None] == []

    async def texts(self, api, engineer, row) -> tuple[bytes, ...]:
        """What readers get of a version: file by file, and out of the history."""
        paths = [f"splits/{name}" for name in ("train", "validation", "held_out")] + ["download"]
        answers = [await api.get(f"{VERSIONS}/{row.version_id}/{path}", headers=engineer) for path in paths]
        assert [answer.status_code for answer in answers] == [200] * 4
        return tuple(answer.content for answer in answers)

    async def test_spares_files_that_another_version_reads_too(self, world, deleting):
        others = world.lines()
        before = await add_version(world, others)
        held = await add_version(world, [*others, *mine(world, 1)])
        shared = [name for name, file in parts_of(held).items() if file == parts_of(before)[name]]
        assert shared, "one sample leaves two of the three parts as they were"

        await erase(world)
        await finish(deleting)

        assert all(there(artifact) for artifact in parts_of(before).values())
        own = [artifact for name, artifact in parts_of(held).items() if name not in shared]
        assert not any(there(artifact) for artifact in own)
        assert traces(world) == []

    async def test_leaves_the_next_version_whole(self, world, deleting, api, engineer):
        others = world.lines()
        await add_version(world, [*others, *mine(world)])
        await erase(world)
        await finish(deleting)
        later = await add_version(world, [*others, *mine(world), *world.lines(5, first=300)])
        await finish(deleting)
        assert (later.number, later.status) == (2, "active")
        download = (await self.texts(api, engineer, later))[-1]
        assert {json.loads(line)["unit_hash"] for line in download.splitlines()} == {f"u{number}" for number in range(10)}  # fmt: skip
        assert traces(world) == []

    async def test_takes_the_source_that_this_service_composed_and_the_rejects(self, world, deleting, api, engineer):
        version = await add_version(world, [*world.lines(), *mine(world, 3), b"mine- but no record\n"])
        shares = {"held_out_share_0_1": 0.5, "validation_share_0_1": 0.1}
        divided = await api.post(f"{VERSIONS}/{version.version_id}/split", headers=engineer, json=shares)
        assert divided.status_code == 202
        await world.build_all()
        sources = {row.request_id: row.source for row in await world.rows("requests")}
        assert there(sources[divided.json()["request_id"]])

        await erase(world)
        await finish(deleting)

        assert traces(world) == []
        assert not there(sources[divided.json()["request_id"]])
        assert there(sources[version.request_id]), "what feedback-svc exported is not ours"
        path = f"/api/v1/admin/training/datasets/requests/{version.request_id}/rejects"
        rejects = await api.get(path, headers=engineer)
        assert (rejects.status_code, rejects.json()["code"]) == (410, "dataset.version-erased")

    async def test_of_a_second_person_finds_an_erased_version_again(self, world, deleting):
        lines = [*world.lines(), *mine(world, 3)]
        await add_version(world, lines)
        await erase(world, "u3", erasure_id="one")
        await finish(deleting)
        await erase(world, erasure_id="two")
        await finish(deleting)
        assert [event.erasure_id for event in await world.announced(DATASET_DEPRECATED)] == ["one", "two"]
        assert traces(world) == []

    async def test_said_twice_is_announced_and_done_once(self, world, deleting):
        await add_version(world, [*world.lines(), *mine(world)])
        record = a_record(an_event(USER_ERASED, unit_hash="gone"))
        for again in (record, record, a_record(an_event(USER_ERASED, unit_hash="gone", erasure_id="x"), offset=7)):
            await world.consume(USER_ERASED, again)
        assert len(await world.announced(DATASET_DEPRECATED)) == 1
        assert len(await world.rows("history_cleanings")) == 1

    async def test_of_an_archived_version_is_announced_and_its_files_go_too(self, world, deleting):
        await add_version(world, [*world.lines(), *mine(world)])
        await world.execute("UPDATE dataset.versions SET status = 'archived', status_reason = 'old'")
        await erase(world)
        await finish(deleting)
        assert [event.reason for event in await world.announced(DATASET_DEPRECATED)] == ["erasure"]
        assert traces(world) == []


class TestReadingAnErasedVersion:
    @pytest.mark.parametrize(
        "path",
        ["splits/train", "splits/validation", "splits/held_out", "samples", "download", "diff?against=1"],
    )
    async def test_is_answered_with_gone_from_the_moment_of_the_erasure(self, world, api, engineer, path):
        version = await add_version(world, [*world.lines(), *mine(world)])
        await erase(world)
        answer = await api.get(f"{VERSIONS}/{version.version_id}/{path}", headers=engineer)
        assert (answer.status_code, answer.json()["code"]) == (410, "dataset.version-erased")
        assert answer.headers["content-type"] == "application/problem+json"

    async def test_it_cannot_be_written_again_or_merged(self, world, api, engineer):
        version = await add_version(world, [*world.lines(), *mine(world)])
        await erase(world)
        written = await api.post(f"{VERSIONS}/{version.version_id}/materialise", headers=engineer)
        body = {"base_version": "1", "other_version": "1", "replay_share_0_1": 0.5, "seed": 1}
        merged = await api.post(
            f"/api/v1/admin/training/datasets/{version.dataset_id}/merge", headers=engineer, json=body
        )
        assert [written.status_code, merged.status_code] == [410, 410]

    async def test_its_row_report_and_figures_stay(self, world, deleting, api, engineer):
        version = await add_version(world, [*world.lines(), *mine(world)])
        await erase(world)
        await finish(deleting)
        seen = (await api.get(f"{VERSIONS}/{version.version_id}", headers=engineer)).json()
        assert (seen["status"], seen["erased_at"] is not None) == ("deprecated", True)
        for path in ("report", "statistics", "report.html", "samples/s8/lineage"):
            assert (await api.get(f"{VERSIONS}/{version.version_id}/{path}", headers=engineer)).status_code == 200

    async def test_what_somebody_wrote_again_meanwhile_goes_again(self, world, deleting):
        version = await add_version(world, [*world.lines(), *mine(world)])
        contents_before = {name: await world.storage.read_bytes(Artifact.model_validate(file)) for name, file in parts_of(version).items()}  # fmt: skip
        await erase(world)
        await finish(deleting)
        for content in contents_before.values():
            await world.storage.put_bytes(content, kind="datasets", suffix=".jsonl", media_type="text/plain")
        assert traces(world)
        async with world.work() as unit:
            await doom_if_erased(unit, version.version_id)
        await finish(deleting)
        assert traces(world) == []


class TestErasureDuringAMerge:
    async def test_the_source_that_was_being_composed_goes_after_its_request(self, world, deleting):
        version = await add_version(world, [*world.lines(), *mine(world)])
        order = MergeOrder(dataset_id=version.dataset_id, base="1", other="1", replay_share_0_1=1, seed=1, policy=None)
        async with world.work() as unit:
            plan = await plan_merge(unit, order)
            opened = await open_pair(*(VersionView.model_validate(one) for one in (plan.base, plan.other)), world.workshop.packs)  # fmt: skip
        composed = await compose(*opened, order, world.storage)
        await erase(world)
        await finish(deleting)
        async with world.work() as unit:
            await queue_merge(unit, plan, composed, by="me", now=datetime.now(UTC))
        await finish(deleting)
        assert there(composed.source.model_dump())
        await world.build_all()
        await world.execute("UPDATE dataset.deletions SET due_at = now()")
        await finish(deleting)
        assert traces(world) == []
        assert [row.status for row in await world.rows("versions", order_by="number")] == ["deprecated", "active"]


class TestErasureDuringABuild:
    async def test_the_build_starts_again_and_its_first_files_go(self, world, deleting):
        publish = world.builds._publish
        erased: list[str] = []

        async def erase_first(*build):
            if not erased:
                erased.append("gone")
                await erase(world)
            return await publish(*build)

        world.builds._publish = erase_first
        version = await add_version(world, [*world.lines(), *mine(world)])
        assert traces(world)

        await finish(deleting)

        assert traces(world) == []
        assert (version.status, version.erased_at) == ("active", None)
        assert all(there(artifact) for artifact in parts_of(version).values())
        assert "gone" not in {row.unit_hash for row in await world.rows("samples")}

    async def test_a_file_that_went_after_it_was_stored_is_stored_again(self, world, deleting):
        publish, gone = world.builds._publish, []

        async def delete_first(request, stored, materials):
            if not gone:
                part = next(iter(stored.splits.values())).artifact
                gone.append(part)
                async with world.work() as unit:
                    await queue.queue(unit.session, [Doomed(uri=part.uri, kind=ObjectKind.PART)], reason="because")
                await finish(deleting)
                assert not there(part.model_dump())
            return await publish(request, stored, materials)

        world.builds._publish = delete_first
        version = await add_version(world, world.lines())
        assert all(there(artifact) for artifact in parts_of(version).values())

    async def test_a_history_that_was_cleaned_meanwhile_is_not_built_on(self, world, deleting, api, engineer):
        others, more = world.lines(), world.lines(10, first=200)
        await add_version(world, others)
        await add_version(world, [*others, *more, *mine(world)])
        await add_version(world, [*others, *more])  # reads rows that lie in one pack with the person's
        publish, cleaned = world.builds._publish, []

        async def clean_first(*build):
            if not cleaned:
                cleaned.append(True)
                await erase(world)
                await finish(deleting)
            return await publish(*build)

        world.builds._publish = clean_first
        later = await add_version(world, [*others, *more, *world.lines(5, first=400)])
        assert later.number == 4
        download = await api.get(f"{VERSIONS}/{later.version_id}/download", headers=engineer)
        assert (download.status_code, len(download.content.splitlines())) == (200, 75)
        assert traces(world) == []


class TestQueue:
    async def put(self, world, content: bytes = b"x") -> Artifact:
        return await world.storage.put_bytes(content, kind="datasets", suffix=".jsonl", media_type="text/plain")

    async def doom(self, world, artifact: Artifact, kind: ObjectKind = ObjectKind.PART) -> None:
        async with world.work() as unit:
            await queue.queue(unit.session, [Doomed(uri=artifact.uri, kind=kind)], reason="because")

    async def test_a_crash_between_the_mark_and_the_deletion_only_delays_it(self, world, deleting):
        artifact = await self.put(world)
        await self.doom(world, artifact)
        async with world.work() as unit:
            assert await take_deletion(unit) is not None  # and then the process died
        assert not await deleting.delete_next()
        await world.execute("UPDATE dataset.deletions SET due_at = now()")
        assert await deleting.delete_next()
        assert not there(artifact.model_dump())
        [row] = await world.rows("deletions")
        assert (row.attempts, row.deleted_at is not None, row.reason) == (2, True, "because")

    async def test_an_absent_storage_leaves_the_row_for_later(self, world, deleting, monkeypatch):
        artifact = await self.put(world)
        await self.doom(world, artifact)

        async def away(_: str) -> None:
            raise StoreUnavailable("storage.unavailable", "away")

        with monkeypatch.context() as patched:
            patched.setattr(deleting._storage, "delete", away)
            with pytest.raises(StoreUnavailable):
                await deleting.delete_next()
        await world.execute("UPDATE dataset.deletions SET due_at = now()")
        await finish(deleting)
        assert not there(artifact.model_dump())

    async def test_an_object_elsewhere_holds_up_nobody(self, world, deleting):
        artifact = await self.put(world)
        await self.doom(world, Artifact(uri="s3://elsewhere/k", sha256="0" * 64, size_bytes=1))
        await self.doom(world, artifact)
        await finish(deleting)
        rows = {row.uri: row for row in await world.rows("deletions")}
        assert rows["s3://elsewhere/k"].deleted_at is None
        assert rows[artifact.uri].deleted_at is not None

    async def test_a_source_waits_for_the_request_that_will_read_it(self, world, deleting):
        event = await world.request()
        await world.consume(DATASET_REQUESTED, a_record(event))
        await self.doom(world, event.source, ObjectKind.SOURCE)
        await finish(deleting)
        assert there(event.source.model_dump())
        await world.build_all()
        await world.execute("UPDATE dataset.deletions SET due_at = now()")
        await finish(deleting)
        assert not there(event.source.model_dump())

    @pytest.mark.parametrize(
        ("change", "safe"),
        [
            ("begun_at = NULL", True),
            ("begun_at = now()", False),
            ("begun_at = now(), deleted_at = now() - interval '1 minute'", True),
            ("begun_at = now(), deleted_at = now() + interval '1 minute'", False),
        ],
    )
    async def test_what_was_stored_again_is_kept_unless_it_may_have_gone_since(self, world, change, safe):
        artifact = await self.put(world)
        await self.doom(world, artifact)
        await world.execute(f"UPDATE dataset.deletions SET {change}")
        async with world.work() as unit:
            now = await queue.moment(unit.session)
            assert await queue.claim(unit.session, [artifact.uri], stored_after=now) is safe
        assert len(await world.rows("deletions")) == (0 if safe else 1)


class TestDecision:
    async def post(self, api, engineer, version, deed: str):
        return await api.post(f"{VERSIONS}/{version.version_id}/{deed}", headers=engineer, json={"reason": "too old"})

    @pytest.mark.parametrize("deed", ["deprecate", "archive"])
    async def test_of_a_person_is_announced(self, world, api, engineer, deed):
        version = await add_version(world, world.lines())
        await self.post(api, engineer, version, deed)
        [event] = await world.announced(DATASET_DEPRECATED)
        assert (event.version_id, event.reason, event.detail) == (version.version_id, "operator", "too old")
        assert (event.unit_hash, event.erased_samples, event.erasure_id) == (None, None, None)

    async def test_is_announced_once(self, world, api, engineer):
        version = await add_version(world, world.lines())
        answers = [await self.post(api, engineer, version, deed) for deed in ("deprecate", "deprecate", "archive")]
        assert [answer.status_code for answer in answers] == [200, 409, 200]
        assert len(await world.announced(DATASET_DEPRECATED)) == 1

    @pytest.mark.parametrize(("deed", "status"), [("deprecate", "deprecated"), ("archive", "archived")])
    async def test_over_a_dataset_is_announced_for_each_version_that_was_still_active(
        self, world, api, engineer, deed, status
    ):
        first = await add_version(world, world.lines())
        second = await add_version(world, world.lines(70))
        other = await add_version(world, world.lines(first=100), dataset_name="another")
        await self.post(api, engineer, first, "deprecate")
        path = f"/api/v1/admin/training/datasets/{second.dataset_id}/{deed}"
        answer = await api.post(path, headers=engineer, json={"reason": "the labels were wrong"})
        assert answer.status_code == 200
        told = [(one.version_id, one.reason, one.detail) for one in await world.announced(DATASET_DEPRECATED)]
        assert told == [
            (first.version_id, "operator", "too old"), (second.version_id, "operator", "the labels were wrong")
        ]  # fmt: skip
        statuses = {row.version_id: row.status for row in await world.rows("versions")}
        assert statuses == {first.version_id: status, second.version_id: status, other.version_id: "active"}

    async def test_deletes_nothing(self, world, deleting, api, engineer):
        version = await add_version(world, world.lines())
        await self.post(api, engineer, version, "deprecate")
        await finish(deleting)
        answer = await api.get(f"{VERSIONS}/{version.version_id}/splits/train", headers=engineer)
        assert answer.status_code == 200

    async def test_and_an_erasure_later_are_both_announced(self, world, api, engineer):
        version = await add_version(world, [*world.lines(), *mine(world)])
        await self.post(api, engineer, version, "deprecate")
        await erase(world)
        assert [event.reason for event in await world.announced(DATASET_DEPRECATED)] == ["operator", "erasure"]
