"""A build in a process of its own, with and without helpers."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from dataset_svc.adapters.build_process import BuildFiles, BuildOrder, BuildProcess
from dataset_svc.adapters.source_files import SourceLimits
from dataset_svc.domain.building import Memory, Recipe
from dataset_svc.domain.packed_builds import PackedBuild
from dataset_svc.domain.sources.reading import ReadingRules
from loopwright.contracts.tasks import DataPolicy
from loopwright.errors import Invalid

ROWS = 5_200  # more than the four megabytes from which on helpers work


def a_source(folder: Path) -> Path:
    turns = "{} 번째 질문: 담당자 김철수 010-1234-{:04} 로 연락해 주세요.", "Answer {}, to mask: a{}@example.com. "
    rows = (
        {
            "messages": [
                {"role": "user", "content": turns[0].format(number * 7919, number)},
                {"role": "assistant", "content": turns[1].format(number, number) + f"word{number} " * 80},
            ]
        }
        for number in range(ROWS)
    )
    source = folder / "rows.jsonl"
    source.write_bytes(b"\n".join(map(msgspec.json.encode, rows)))
    return source


def an_order(folder: Path) -> BuildOrder:
    source = a_source(folder)
    rules = ReadingRules(task_id="task")
    recipe = Recipe(
        request_id="request", dataset_name="dataset", reading=rules, policy=DataPolicy(), expected_lines=None
    )
    return BuildOrder(
        files=BuildFiles(source=source, rejects=folder / "rejects", parts=folder / "alone"),
        source_name=source.name,
        size_bytes=source.stat().st_size,
        limits=SourceLimits(max_unpacked_bytes=1 << 30, max_record_bytes=1 << 20),
        recipe=recipe,
        memory=Memory(),
        pseudonym_key=None,
        tokenizer=None,
        title="dataset",
    )


async def built(order: BuildOrder, *, helpers: int) -> tuple[PackedBuild, bytes, int]:
    process = BuildProcess(helpers=helpers)
    try:
        build = await process.build(order)
        return build, order.files.parts.read_bytes(), process.records_read
    finally:
        process.close()


async def test_helpers_change_no_byte_of_a_version(tmp_path: Path) -> None:
    order = an_order(tmp_path)
    assert order.size_bytes > 4 << 20
    alone = await built(order, helpers=0)
    helped = await built(replace(order, files=replace(order.files, parts=tmp_path / "helped")), helpers=2)
    assert helped == alone
    assert helped[2] == ROWS
    assert b"example.com" not in helped[1]


async def test_a_build_that_fails_while_helpers_work_leaves_the_next_one_whole(tmp_path: Path) -> None:
    order = an_order(tmp_path)
    alone, *_ = await built(order, helpers=0)
    process = BuildProcess(helpers=2)
    try:
        for _ in range(3):
            with pytest.raises(Invalid, match="unpack"):
                await process.build(
                    replace(order, limits=replace(order.limits, max_unpacked_bytes=order.size_bytes - 1))
                )
            source = order.files.source.read_bytes()
            assert await process.build(order) == alone
            assert order.files.source.read_bytes() == source
    finally:
        process.close()
