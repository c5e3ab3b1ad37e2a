"""The head of a Ray cluster as its job submission API shows it (Ray 2.x), with this machine as the cluster.

Entrypoints run in a shell and a session of their own; output and errors go to one log; a stop is SIGTERM, and SIGKILL
after RAY_JOB_STOP_WAIT_TIME_S; a submission id is taken once; an unknown job is 404 with a text.
"""

import json
import os
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil


class RayJob:
    """A submitted job."""

    def __init__(self, request: dict[str, Any], folder: Path) -> None:
        self.request = request
        self.log = folder / f"{request['submission_id']}.log"
        self.stopped_at: float | None = None
        variables = request["runtime_env"]["env_vars"]
        self.patience_s = float(variables["RAY_JOB_STOP_WAIT_TIME_S"])
        self.log.write_text(f"Running entrypoint for job {request['submission_id']}: {request['entrypoint']}\n")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                request["entrypoint"], shell=True, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env=os.environ | variables,  # noqa: TID251 - as Ray does
            )  # fmt: skip

    def details(self) -> dict[str, Any]:
        code = self.process.poll()
        status = "RUNNING" if code is None else "SUCCEEDED" if code == 0 else "FAILED"
        if code is not None and self.stopped_at is not None:
            status, code = "STOPPED", None
        message = f"Job entrypoint command failed with exit code {code}" if status == "FAILED" else f"Job {status}"
        shown = {key: self.request[key] for key in ("entrypoint", "submission_id", "metadata")}
        return shown | {"type": "SUBMISSION", "job_id": None, "status": status, "message": message,
                        "error_type": None, "driver_exit_code": code}  # fmt: skip

    def stop(self) -> None:
        if self.stopped_at is None and self.process.poll() is None:
            self.stopped_at = time.monotonic()
            self._signal(signal.SIGTERM)
            killing = threading.Timer(self.patience_s, self._signal, [signal.SIGKILL])
            killing.daemon = True
            killing.start()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            head = psutil.Process(self.process.pid)
            for process in [head, *head.children(recursive=True)]:
                process.send_signal(number)


class FakeRay(ThreadingHTTPServer):
    """Serves the API on a free port of the loopback."""

    def __init__(self, folder: Path, *, token: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.token = token
        self.jobs: dict[str, RayJob] = {}
        self.lose_answer_to_submission = False
        self.refusal: str | None = None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        for job in self.jobs.values():
            job.kill()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FakeRay

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        if not self._is_known():
            return
        match self.path.strip("/").split("/"):
            case ["api", "jobs"]:
                self._answer([job.details() for job in self.server.jobs.values()])
            case ["api", "jobs", name] if name in self.server.jobs:
                self._answer(self.server.jobs[name].details())
            case ["api", "jobs", name, "logs"] if name in self.server.jobs:
                self._answer({"logs": self.server.jobs[name].log.read_text()})
            case _:
                self._refuse(404, f"Job {self.path} does not exist")

    def do_POST(self) -> None:
        if not self._is_known():
            return
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match self.path.split("/"):
            case ["", "api", "jobs", ""]:
                self._submit(json.loads(content))
            case ["", "api", "jobs", name, "stop"] if name in self.server.jobs:
                self.server.jobs[name].stop()
                self._answer({"stopped": True})
            case _:
                self._refuse(404, f"Job {self.path} does not exist")

    def _submit(self, request: dict[str, Any]) -> None:
        name = request["submission_id"]
        if self.server.refusal is not None:
            self._refuse(400, self.server.refusal)
        elif name in self.server.jobs:
            self._refuse(500, f"Job with submission_id {name} already exists")
        else:
            self.server.jobs[name] = RayJob(request, self.server.folder)
            if self.server.lose_answer_to_submission:
                self.server.lose_answer_to_submission = False
                self.connection.close()
            else:
                self._answer({"job_id": name, "submission_id": name})

    def _is_known(self) -> bool:
        known = self.server.token is None or self.headers.get("Authorization") == f"Bearer {self.server.token}"
        if not known:
            self._refuse(401, "Unauthorized: missing authentication token")
        return known

    def _answer(self, content: object) -> None:
        self._send(200, json.dumps(content), "application/json")

    def _refuse(self, status: int, text: str) -> None:
        self._send(status, text, "text/plain")

    def _send(self, status: int, text: str, media_type: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
