"""`make demo`: starts the whole stack on an empty folder, lets the loop close once, and reports."""

import asyncio
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from rich.console import Console

from loopwright_local.demo.documents import draw_document, use_document
from loopwright_local.demo.loop import Limits, LoopResult, turn_loop
from loopwright_local.demo.raters import Raters
from loopwright_local.demo.records import LabelledLine, load_bgl, own_records
from loopwright_local.demo.report import print_report, tracing_rating_to_promotion
from loopwright_local.demo.watch import LoopFailed, Watcher
from loopwright_local.errors import LocalError
from loopwright_local.lineage import draw, walk_back
from loopwright_local.settings import ROOT, LocalSettings
from loopwright_local.stack import LocalStack

_SHARED_BGL = ROOT.parent / "shared/data/loghub/BGL_2k.log"


class DemoSettings(BaseSettings):
    """Choices of the demo, from `DEMO_*`."""

    model_config = SettingsConfigDict(env_prefix="DEMO_", frozen=True)

    log_file: Path | None = Field(
        default=None, description="A labelled BGL log; otherwise the shared one, else our own lines."
    )
    task: str = "log-anomaly"
    own_lines: int = Field(default=1200, description="How many lines of our own to make where no log is at hand.")
    seed: int = 20
    keep_running: bool = Field(default=False, description="Leave the stack up after the report, until Ctrl-C.")
    kill: dict[str, str] = Field(
        default={},
        description='Parts to kill -9, each when a stage begins: {"kafka": "experiment", "trainer": "training"}.',
    )


def choose_lines(settings: DemoSettings) -> tuple[list[LabelledLine], str]:
    """The lines that people ask about, and where they are from."""
    path = settings.log_file or _SHARED_BGL
    if path.exists():
        return load_bgl(path), f"labelled BGL log {path.name}"
    if settings.log_file is not None:
        raise LocalError(f"DEMO_LOG_FILE={path} does not exist")
    return own_records(settings.own_lines), "log lines that the project ships"


async def run_demo(settings: DemoSettings, local: LocalSettings, console: Console) -> None:
    began = time.monotonic()

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f} s[/] {line}", highlight=False)

    lines, data_from = choose_lines(settings)
    say(f"{len(lines)} labelled lines: {data_from}")
    say(f"starting the stack; logs are in {local.log_dir}")
    async with LocalStack(local) as stack:
        say(f"all parts are up: console of MLflow at {stack.urls.mlflow}")
        watcher = Watcher(stack.urls.kafka_bootstrap, settings.task, say=say)
        raters = Raters(stack.urls.router, settings.task, seed=settings.seed)
        watching = asyncio.create_task(watcher.run())
        killing = [
            asyncio.create_task(kill_at(stack, watcher, part, stage, say=say)) for part, stage in settings.kill.items()
        ]
        try:
            result = await turn_loop(watcher, raters, lines, limits=Limits(), say=say)
            await _report(console, local, watcher, result, data_from=data_from)
            console.print(draw_document(await use_document(local, task_id=settings.task, say=say)))
            say("done")
            if settings.keep_running:
                console.print("the stack keeps running; Ctrl-C ends it")
                await asyncio.Event().wait()
        finally:
            for task in (watching, *killing):
                task.cancel()
            await asyncio.gather(watching, *killing, return_exceptions=True)
            await raters.close()


async def kill_at(stack: LocalStack, watcher: Watcher, part: str, stage: str, *, say: Callable[[str], None]) -> None:
    """Kills a part with SIGKILL when a stage begins; the supervisor starts it again."""
    await watcher.reached(stage).wait()
    say(f"kill -9 {part} (stage: {stage})")
    await stack.kill(part)


async def _report(
    console: Console, local: LocalSettings, watcher: Watcher, result: LoopResult, *, data_from: str
) -> None:
    await asyncio.sleep(2)  # the last events and spans are on their way to Kafka and to disk
    print_report(console, result, watcher, data_from=data_from)
    console.print("\n[italic]Lineage of one answer in production[/]")
    answer = result.confirmations[0]
    console.print(draw(await walk_back(local, answer.inference_id)), soft_wrap=True)
    trace_id = tracing_rating_to_promotion(watcher)
    folder = local.dir.relative_to(ROOT) if local.dir.is_relative_to(ROOT) else local.dir
    console.print("\n[italic]Where to look[/]")
    console.print(f"  LOCAL_DIR={folder} make up                       the same stack again, with all that it learned")
    console.print(
        f"  MLflow: http://127.0.0.1:{local.mlflow_port}, model {result.deployed.champion.variant.model_name}",
        highlight=False,
    )
    console.print(
        f"  LOCAL_DIR={folder} make trace ID={trace_id}   one trace, from a rating to the promotion", highlight=False
    )
    console.print(f"  LOCAL_DIR={folder} make lineage ID={answer.inference_id}", soft_wrap=True, highlight=False)
    if trace_id is None:
        raise LoopFailed("no single trace leads from a rating to the promotion")


def main() -> None:
    settings = DemoSettings()
    local = LocalSettings()
    if "dir" not in local.model_fields_set:
        local = local.model_copy(update={"dir": ROOT / ".local/demo"})
        shutil.rmtree(local.dir, ignore_errors=True)
    console = Console()
    try:
        asyncio.run(run_demo(settings, local, console))
    except (LoopFailed, LocalError) as error:
        console.print(f"[bold red]the demo failed:[/] {error}", highlight=False)
        console.print(f"logs of every part: {local.log_dir}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
