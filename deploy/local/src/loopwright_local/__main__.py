"""`python -m loopwright_local up | down | status | token | api-key | run`: the local stack from a terminal."""

import argparse
import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

from pydantic import ValidationError

from loopwright_local.errors import LocalError
from loopwright_local.folder import end_holder, holder, read_statuses
from loopwright_local.keys import ensure_keys, make_api_key, mint_token
from loopwright_local.settings import LocalSettings

if TYPE_CHECKING:
    from loopwright_local.stack import LocalStack


async def up(settings: LocalSettings, *, show_logs: bool) -> None:
    """Run the stack until Ctrl-C or SIGTERM; a second one kills everything at once.

    Raises:
        LocalError: it could not start, or a part failed for good.
    """
    from loopwright_local.stack import LocalStack  # noqa: PLC0415  # the other commands stay light

    stack = LocalStack(settings, show_logs=show_logs)
    asked = asyncio.Event()

    def ask() -> None:
        if asked.is_set():
            stack.kill_all()
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ask)
    life, stop = asyncio.create_task(_live(stack)), asyncio.create_task(asked.wait())
    try:
        await asyncio.wait({life, stop}, return_when=asyncio.FIRST_COMPLETED)
        if life.done():
            await life
    finally:
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
        await stack.stop()


async def _live(stack: "LocalStack") -> None:
    await stack.start()
    await stack.wait_ready()
    stack.say("local", f"all parts are ready; router at {stack.urls.router}, MLflow at {stack.urls.mlflow}")
    raise await stack.wait_failed()


def status(settings: LocalSettings) -> None:
    """Print every part with its state, process and address."""
    pid = holder(settings.run_dir)
    print(f"{settings.dir}: {f'supervisor {pid}' if pid else 'not running'}")
    for part in read_statuses(settings.run_dir) if pid else []:
        seconds = f"{part.ready_after_s:.1f} s" if part.ready_after_s is not None else ""
        print(f"  {part.name:<11} {part.state:<10} {part.pid or '':>8} {seconds:>8}  {part.url}")


def run_command(settings: LocalSettings, command: list[str]) -> None:
    """Become `command`, with the environment that the project's commands need to work on this stack."""
    from loopwright_local.plan import plan_stack  # noqa: PLC0415  # as above

    env = dict(os.environ) | plan_stack(settings).env  # noqa: TID251  # not a setting: the command inherits it
    os.execvpe(sys.executable, (sys.executable, "-m", *command), env)  # noqa: S606  # no shell is wanted


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="loopwright_local", description="The local stack. Settings: LOCAL_*.")
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="start everything and stay in front until Ctrl-C")
    starting.add_argument("--quiet", action="store_true", help="say only when a part is ready, dies or stops")
    commands.add_parser("down", help="stop a running stack")
    commands.add_parser("status", help="list parts, states, processes, addresses")
    token = commands.add_parser("token", help="print a bearer token for the services")
    token.add_argument("--role", action="append", required=True, choices=("viewer", "engineer", "admin"))
    token.add_argument("--subject", default="local")
    token.add_argument("--ttl-s", type=int, default=3600)
    _add_api_key(commands.add_parser("api-key", help="make an API key for the router, and print it this once"))
    running = commands.add_parser("run", help="run a module of the project against this stack")
    running.add_argument("module", nargs=argparse.REMAINDER)
    return parser


def _add_api_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, help="a key of the same name ends to be one")
    parser.add_argument("--tenant")
    parser.add_argument("--task", action="append", help="a task that it may ask; left out: all")
    for limit in ("--requests-per-min", "--tokens-per-min", "--concurrent", "--max-tokens"):
        parser.add_argument(limit, type=int)


def _api_key(arguments: argparse.Namespace, settings: LocalSettings) -> str:
    return make_api_key(
        ensure_keys(settings.keys_dir),
        name=arguments.name,
        tenant=arguments.tenant,
        tasks=arguments.task,
        requests_per_min=arguments.requests_per_min,
        tokens_per_min=arguments.tokens_per_min,
        concurrent=arguments.concurrent,
        max_tokens=arguments.max_tokens,
    )


def _obey(arguments: argparse.Namespace, settings: LocalSettings) -> None:
    match arguments.command:
        case "up":
            asyncio.run(up(settings, show_logs=not arguments.quiet))
        case "down":
            print("stopped" if end_holder(settings.run_dir) else "nothing runs")
        case "status":
            status(settings)
        case "token":
            keys = ensure_keys(settings.keys_dir)
            roles = tuple(arguments.role)
            print(mint_token(keys, subject=arguments.subject, roles=roles, ttl_s=arguments.ttl_s))
        case "api-key":
            print(_api_key(arguments, settings))
        case _:
            run_command(settings, arguments.module)


def main() -> int:
    try:
        _obey(_parser().parse_args(), LocalSettings())
    except (LocalError, ValidationError) as error:
        print(f"loopwright_local: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
