"""`up`, `status`, `down` as a person uses them, with PostgreSQL as the only part."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from loopwright.auth import Role, TokenVerifier
from loopwright_local.errors import AlreadyRunning, PortTaken
from loopwright_local.folder import holder, read_statuses
from loopwright_local.keys import ensure_keys
from loopwright_local.killing import end_orphans
from loopwright_local.part import Part, PortClaim
from loopwright_local.plan import plan_stack
from loopwright_local.ports import refuse_taken_ports
from loopwright_local.settings import LocalSettings, free_ports
from loopwright_local.stack import LocalStack
from loopwright_local.testing import settings_for_tests


def environment(settings: LocalSettings) -> dict[str, str]:
    ports = {f"LOCAL_{name.upper()}": str(value) for name, value in settings if name.endswith("_port")}
    without = json.dumps(sorted(settings.without))
    return dict(os.environ) | ports | {"LOCAL_DIR": str(settings.dir), "LOCAL_WITHOUT": without}  # noqa: TID251


def local(settings: LocalSettings, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "loopwright_local", *arguments)
    return subprocess.run(command, env=environment(settings), text=True, capture_output=True, check=False, timeout=60)


@contextmanager
def up(settings: LocalSettings) -> Generator[subprocess.Popen[str]]:
    command = (sys.executable, "-m", "loopwright_local", "up", "--quiet")
    with subprocess.Popen(command, env=environment(settings), text=True, stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            for line in running.stdout:
                if "all parts are ready" in line:
                    break
            yield running
        finally:
            with suppress(ProcessLookupError):
                running.terminate()


@pytest.fixture
def settings(tmp_path: Path) -> LocalSettings:
    return settings_for_tests(tmp_path, "postgres")


async def ask(settings: LocalSettings, statement: str) -> object:
    connection = await asyncpg.connect(plan_stack(settings).urls.database.replace("+asyncpg", ""))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_starts_again_after_everything_was_killed(settings: LocalSettings) -> None:
    with up(settings) as first:
        await ask(settings, "CREATE TABLE kept AS SELECT 42 AS answer")
        # the supervisor first, so that nobody ends the server in an orderly way
        first.kill()
        end_orphans(str(settings.run_dir))
    with up(settings):
        assert await ask(settings, "SELECT answer FROM kept") == 42


def test_stops_on_ctrl_c_and_leaves_nothing_behind(settings: LocalSettings) -> None:
    with up(settings) as running:
        (postgres,) = read_statuses(settings.run_dir)
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 0
    assert not Path(f"/proc/{postgres.pid}").exists()
    assert holder(settings.run_dir) is None
    assert end_orphans(str(settings.run_dir)) == []


def test_shows_its_parts_and_stops_when_asked_from_elsewhere(settings: LocalSettings) -> None:
    with up(settings) as running:
        shown = local(settings, "status").stdout
        assert f"supervisor {running.pid}" in shown
        assert f"127.0.0.1:{settings.postgres_port}" in shown
        assert "ready" in shown
        assert local(settings, "down").stdout == "stopped\n"
        assert running.wait(5) == 0
    assert "not running" in local(settings, "status").stdout
    assert local(settings, "down").stdout == "nothing runs\n"


async def test_refuses_a_second_stack_over_the_same_folder(settings: LocalSettings) -> None:
    async with LocalStack(settings, quiet=True) as first:
        other = LocalStack(settings.with_free_ports(), quiet=True)
        with pytest.raises(AlreadyRunning, match=rf"process {os.getpid()}.*make down"):
            await other.start()
        await other.stop()
        refused = local(settings, "up")
        assert refused.returncode == 1
        assert "already runs" in refused.stderr
        # and the first one is none the worse
        assert first.pid("postgres") == read_statuses(settings.run_dir)[0].pid


async def test_reports_a_taken_port_before_anything_starts(settings: LocalSettings) -> None:
    with socket.create_server(("127.0.0.1", settings.postgres_port)):
        stack = LocalStack(settings, quiet=True)
        with pytest.raises(PortTaken, match=rf"port {settings.postgres_port} for postgres .* LOCAL_POSTGRES_PORT"):
            await stack.start()
        await stack.stop()
    assert not (settings.dir / "postgres/data").exists()


def test_refuses_one_port_for_two_parts() -> None:
    (port,) = free_ports(1)
    parts = [Part(name=name, command=(), ports=(PortClaim(f"LOCAL_{name}_PORT", port),)) for name in ("A", "B")]
    with pytest.raises(PortTaken, match=f"port {port} is wanted by A and B: change LOCAL_B_PORT"):
        refuse_taken_ports(parts)


def test_prints_a_token_that_the_public_keys_confirm(settings: LocalSettings) -> None:
    token = local(settings, "token", "--role", "engineer", "--subject", "kim").stdout.strip()
    keys = ensure_keys(settings.keys_dir)
    principal = TokenVerifier.from_file(keys.public, issuer="loopwright-local", audience="loopwright").verify(token)
    assert (principal.subject, principal.role) == ("kim", Role.ENGINEER)


def test_names_what_is_missing_and_its_remedy(settings: LocalSettings, tmp_path: Path) -> None:
    with_kafka = settings.with_only("kafka").model_copy(update={"assets_dir": tmp_path})
    refused = subprocess.run(
        (sys.executable, "-m", "loopwright_local", "up"),
        env=environment(with_kafka) | {"LOCAL_ASSETS_DIR": str(tmp_path)},
        text=True,
        capture_output=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "run `make setup`" in refused.stderr
    no_java = environment(with_kafka) | {"LOCAL_JAVA": "no-such-java"}
    command = (sys.executable, "-m", "loopwright_local", "up")
    refused = subprocess.run(command, env=no_java, text=True, capture_output=True, check=False)
    assert "apt-get install openjdk-17-jre-headless" in refused.stderr
