# ruff: noqa: INP001 (a script)
"""Runs TensorZero's own HTTP gateway out of its wheel: python tensorzero_gateway.py CONFIG URL_FILE."""

import sys
import threading
from pathlib import Path

from tensorzero.tensorzero import _start_http_gateway  # pyright: ignore[reportMissingImports] - in the peers' environment; no other door leads to it

config, url_file = sys.argv[1:]
gateway = _start_http_gateway(
    config_file=config, clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
Path(url_file).write_text(gateway.base_url, encoding="utf-8")
threading.Event().wait()
