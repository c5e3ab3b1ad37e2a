"""Checks before anything starts that every port is free, so that no part fails over it halfway."""

import socket
from collections.abc import Iterable

from loopwright_local.errors import PortTaken
from loopwright_local.part import Part


def refuse_taken_ports(parts: Iterable[Part]) -> None:
    """Check all ports of all parts.

    Raises:
        PortTaken: names every port that is in use, or wanted twice, with the setting that changes it.
    """
    claims = [(part.name, claim) for part in parts for claim in part.ports]
    owners: dict[int, str] = {}
    complaints: list[str] = []
    for name, claim in claims:
        if claim.port in owners:
            complaints.append(f"port {claim.port} is wanted by {owners[claim.port]} and {name}: change {claim.setting}")
        elif not _is_free(claim.port):
            complaints.append(f"port {claim.port} for {name} is taken by another program: change {claim.setting}")
        owners.setdefault(claim.port, name)
    if complaints:
        raise PortTaken("\n".join(complaints))


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
        # as servers do: a port whose last connections are still closing is free
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
