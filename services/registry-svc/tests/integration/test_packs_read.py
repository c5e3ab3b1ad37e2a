"""Packs in a folder become tasks; a change is a version; a bad one is refused and shown."""

import pytest
import yaml

from loopwright.contracts.registry import DEPLOYMENT_CHANGED, TASK_DEFINED
from loopwright.errors import Conflict
from loopwright.pages import Window
from registry_svc.handlers.tasks import change_task
from registry_svc.jobs.packs import PackReader
from registry_svc.queries.tasks import list_packs, read_task_history

pytestmark = pytest.mark.integration
ALL = Window(limit=100, offset=0)


@pytest.fixture
def packs(world, base_model, tmp_path):
    """Writes packs, and reads them as jobs.py does."""
    folder = tmp_path / "packs"
    folder.mkdir()
    reader = PackReader(world.work, folder=folder, base_models={base_model})

    class Packs:
        def write(self, name: str, **changes: object) -> None:
            declared = world.pack().model_dump(mode="json", exclude_defaults=True) | changes
            (folder / name).write_text(yaml.safe_dump(declared))

        def write_text(self, name: str, text: str) -> None:
            (folder / name).write_text(text)

        def remove(self, name: str) -> None:
            (folder / name).unlink()

        async def read(self) -> dict[str, list[str]]:
            """Problems by file after a look at the folder."""
            await reader.step()
            async with world.work() as unit:
                page = await list_packs(unit, ALL)
            return {one.file: [f"{p.field}: {p.reason}" for p in one.problems] for one in page.items}

    return Packs()


async def versions(world) -> list[int]:
    return [event.version for event in await world.announced(TASK_DEFINED)]


class TestPacks:
    async def test_a_new_pack_is_version_1_and_announced_whole(self, world, packs):
        packs.write("mood.yaml")

        assert await packs.read() == {"mood.yaml": []}
        (event,) = await world.announced(TASK_DEFINED)
        assert (event.task_id, event.version, event.defined_by) == (world.task_id, 1, "pack mood.yaml")
        assert event.gate.min_cases == 4
        assert event.answer_schema == world.pack().answer_schema

    async def test_a_change_is_the_next_version_and_a_mere_comment_is_none(self, world, packs):
        packs.write("mood.yaml")
        await packs.read()
        await packs.read()
        packs.write("mood.yaml", title="Another title")
        await packs.read()
        packs.write_text(
            "mood.yaml", "# a comment\n" + yaml.safe_dump(world.pack(title="Another title").model_dump(mode="json"))
        )
        await packs.read()

        assert await versions(world) == [1, 2]

    async def test_a_bad_pack_is_shown_with_field_and_reason_and_stops_no_other(self, world, packs):
        packs.write("good.yaml")
        packs.write("a-bad.yaml", task_id="bad", gate={"min_acuracy": 0.9})
        packs.write_text("b-worse.yaml", "title: [")
        packs.write_text("c-binary.yaml", "")
        found = await packs.read()

        assert found["good.yaml"] == []
        assert found["a-bad.yaml"] == ["gate.min_acuracy: no such field; is min_accuracy_0_1 meant?"]
        assert "not YAML" in found["b-worse.yaml"][0]
        assert found["c-binary.yaml"] == ["pack: must be a mapping of fields"]
        assert await versions(world) == [1]

    async def test_a_pack_that_turns_bad_leaves_the_task_as_it_was(self, world, packs):
        packs.write("mood.yaml")
        await packs.read()
        packs.write_text("mood.yaml", "title: [")

        assert "not YAML" in (await packs.read())["mood.yaml"][0]
        assert await versions(world) == [1]

    async def test_two_packs_cannot_declare_one_task(self, packs):
        packs.write("a.yaml")
        packs.write("b.yaml", title="Mine")
        found = await packs.read()

        assert found["a.yaml"] == []
        assert "declared by a.yaml already" in found["b.yaml"][0]

    async def test_a_removed_pack_is_forgotten_and_its_task_stays(self, world, packs):
        packs.write("mood.yaml")
        await packs.read()
        packs.remove("mood.yaml")

        assert await packs.read() == {}
        packs.write("other.yaml", title="Taken over")
        assert await packs.read() == {"other.yaml": []}
        assert await versions(world) == [1, 2]

    async def test_what_a_person_changed_is_not_undone_by_an_unchanged_pack(self, world, packs):
        packs.write("mood.yaml")
        await packs.read()
        async with world.work() as unit:
            await change_task(world.pack(title="By hand"), unit, by="eve", seen_version=1)
        await packs.read()

        async with world.work() as unit:
            history = await read_task_history(unit, world.task_id, ALL)
        assert [(one.version, one.defined_by) for one in history.items] == [(2, "eve"), (1, "pack mood.yaml")]


class TestChanges:
    async def test_two_changes_of_one_version_are_one_too_many(self, world):
        await world.declare()
        async with world.work() as unit:
            await change_task(world.pack(title="One"), unit, by="eve", seen_version=1)
        with pytest.raises(Conflict, match="version 2, not 1"):
            async with world.work() as unit:
                await change_task(world.pack(title="Two"), unit, by="bob", seen_version=1)

    async def test_the_base_model_of_a_task_is_fixed(self, world):
        await world.declare()
        other = world.pack().model_copy(update={"base_model": "other"})
        with pytest.raises(Conflict, match="cannot change"):
            async with world.work() as unit:
                await change_task(other, unit, by="eve", seen_version=1)

    async def test_other_generation_parameters_are_announced_with_the_deployment(self, world):
        await world.declare_and_serve()
        async with world.work() as unit:
            await change_task(world.pack(generation={"temperature": 1.5}), unit, by="eve", seen_version=1)

        first, second = await world.announced(DEPLOYMENT_CHANGED)
        assert first.champion.variant.generation.temperature == 0.25
        assert (second.champion.variant.generation.temperature, second.revision) == (1.5, 2)
