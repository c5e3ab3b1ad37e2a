"""Labelled log lines: real ones from a BGL file where one is at hand, otherwise ones from our own machine's grammar.

The label is what an operator would say of the line: an alert that needs somebody, or normal operation.
"""

import random
from dataclasses import dataclass
from pathlib import Path

Label = str
ALERT: Label = "alert"
NORMAL: Label = "normal"


@dataclass(frozen=True)
class LabelledLine:
    """One log line and what the people who ran the machine said of it."""

    text: str
    label: Label


def load_bgl(path: Path) -> list[LabelledLine]:
    """Reads a BGL log (loghub): the first column is `-` for normal lines, else the operators' alert category.

    Timestamps are left out; node, facility, severity and message stay. Repeated lines are kept once.
    """
    lines: dict[str, LabelledLine] = {}
    for raw in path.read_text(encoding="utf-8", errors="replace").splitlines():
        columns = raw.split(" ", 9)
        if len(columns) < 10:
            continue
        text = f"{columns[3]} {' '.join(columns[6:])}".strip()
        lines[text] = LabelledLine(text, NORMAL if columns[0] == "-" else ALERT)
    return list(lines.values())


# The machine is ours: a rack of nodes with a job scheduler, a file system, links and power supplies. The severity word
# alone does not give the label away: some FATAL lines are routine teardown, some INFO lines announce a failure.
_NORMAL = (
    "{node} sched INFO job {num} started on {small} cores",
    "{node} sched INFO job {num} finished with status 0 after {num} s",
    "{node} sched FATAL job {num} killed by its owner",
    "{node} kernel INFO corrected single-bit memory error at 0x{hex}",
    "{node} kernel INFO cpu {small} clock raised to {num} MHz",
    "{node} kernel WARNING process {num} exceeded its soft memory limit",
    "{node} kernel FATAL process {num} ended by signal 15",
    "{node} fs INFO volume vol{small} snapshot {num} complete",
    "{node} fs INFO cache flushed, {num} blocks written",
    "{node} fs WARNING volume vol{small} is {small} percent full",
    "{node} link INFO port {small} retrained at full width",
    "{node} link ERROR port {small} dropped {small} packets during retraining, recovered",
    "{node} power INFO supply {small} at {small} degrees",
    "{node} power INFO fan {small} speed set to {num} rpm",
    "{node} auth INFO operator session {num} opened",
    "{node} auth WARNING wrong password for session {num}, retry allowed",
)
_ALERT = (
    "{node} kernel FATAL uncorrectable memory error at 0x{hex}",
    "{node} kernel FATAL machine check on cpu {small}, core halted",
    "{node} kernel INFO watchdog expired, node does not answer since {num} s",
    "{node} fs FATAL volume vol{small} mount failed: input/output error",
    "{node} fs ERROR journal of volume vol{small} cannot be replayed, read-only now",
    "{node} fs INFO volume vol{small} lost its last replica",
    "{node} link FATAL port {small} down, no route to rack {small}",
    "{node} link ERROR control stream to {node} severed",
    "{node} power FATAL supply {small} failed, running without reserve",
    "{node} power WARNING inlet temperature {small} degrees over limit, shutdown in {num} s",
    "{node} sched FATAL cannot reach {small} nodes of job {num}, job lost",
    "{node} auth ERROR key store unreadable, sessions refused",
)


def own_records(count: int, *, seed: int = 7) -> list[LabelledLine]:
    """Distinct lines of our own machine, half of them alerts."""
    source = random.Random(seed)  # noqa: S311 - demonstration data, not a secret
    lines: dict[str, LabelledLine] = {}
    while len(lines) < count:
        label = ALERT if len(lines) % 2 else NORMAL
        text = _fill(source.choice(_ALERT if label == ALERT else _NORMAL), source)
        lines.setdefault(text, LabelledLine(text, label))
    return list(lines.values())


def _fill(template: str, source: random.Random) -> str:
    return template.format(
        node=f"r{source.randrange(16):02d}-n{source.randrange(64):02d}",
        num=source.randrange(100, 100_000),
        small=source.randrange(1, 99),
        hex=f"{source.randrange(1 << 32):08x}",
    )


def stream_of(lines: list[LabelledLine], *, seed: int) -> list[LabelledLine]:
    """Puts lines into an order in which alerts and normal lines alternate while both last."""
    source = random.Random(seed)  # noqa: S311 - demonstration data, not a secret
    alerts = [line for line in lines if line.label == ALERT]
    normals = [line for line in lines if line.label == NORMAL]
    source.shuffle(alerts)
    source.shuffle(normals)
    paired = [line for pair in zip(alerts, normals, strict=False) for line in pair]
    return paired + normals[len(alerts) :] + alerts[len(normals) :]
