"""How much somebody may ask: a bucket that holds a minute's worth and refills steadily, and tables of buckets by address.

The generic cell rate algorithm (ITU-T I.371): all that is kept of a bucket is the time at which it would be full again.
"""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from loopwright.errors import Invalid, RateLimited

_MINUTE_S = 60.0
_TOKEN_FIELDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_IPV6_CUSTOMER_BITS = 64  # one customer has at least this network to himself (RFC 6177)
_whole = msgspec.json.Decoder(int)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Bucket:
    """What is left of an allowance a minute.

    Args:
        per_minute: As much is there at the start, and flows back in a minute.
    """

    __slots__ = ("_full_at", "_interval_s")

    def __init__(self, per_minute: int) -> None:
        self._interval_s = _MINUTE_S / per_minute
        self._full_at = 0.0

    def wait_s(self, now: float) -> float:
        """Seconds until one can be taken; 0 or less: now. A clock that was set back empties no bucket for long."""
        if self._full_at - now > 2 * _MINUTE_S:
            self._full_at = now
        return self._full_at + self._interval_s - now - _MINUTE_S

    def take(self, now: float, cost: int = 1) -> None:
        """Takes, though it may not be there: what is known only afterwards is a debt, of a minute's worth at most."""
        full_at = max(now, self._full_at) + cost * self._interval_s
        self._full_at = min(full_at, now + 2 * _MINUTE_S)

    def is_full(self, now: float) -> bool:
        return self._full_at <= now


class Addresses:
    """A bucket for each address; of too many, those that asked longest ago are forgotten.

    Args:
        most: Buckets that are kept.
    """

    def __init__(self, per_minute: int, *, most: int = 10_000) -> None:
        self._per_minute = per_minute
        self._most = most
        self._buckets: dict[str, Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def admit(self, address: str, now: float) -> None:
        """Counts a request.

        Raises:
            RateLimited: it is one too many.
        """
        bucket = self._bucket(address)
        refuse_before(bucket.wait_s(now), "requests of this address")
        bucket.take(now)

    def check(self, address: str, now: float) -> None:
        """Raises as `admit` does, and counts nothing."""
        if self._buckets:
            bucket = self._buckets.get(network_of(address))
            if bucket is not None:
                refuse_before(bucket.wait_s(now), "failures of this address")

    def charge(self, address: str, now: float) -> None:
        self._bucket(address).take(now)

    def _bucket(self, address: str) -> Bucket:
        network = network_of(address)
        bucket = self._buckets.pop(network, None) or Bucket(self._per_minute)
        self._buckets[network] = bucket  # the dictionary's order is that of their last requests
        if len(self._buckets) > self._most:
            del self._buckets[next(iter(self._buckets))]
        return bucket


def refuse_before(wait_s: float, what: str) -> None:
    """Turns a wait into the refusal that names it.

    Raises:
        RateLimited: there is one.
    """
    if wait_s > 0:
        seconds = int(wait_s) + 1
        raise RateLimited("router.rate-limited", f"Too many {what}; try again in {seconds} s", retry_after_s=seconds)


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Whom an address counts for: of IPv6 its network of 64 bits, since whoever has one address there has them all."""
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return address
    if read.version == 4:
        return address
    mapped = read.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((int(read), _IPV6_CUSTOMER_BITS), strict=False))


def client_address(peer: str, forwarded_for: str | None, *, trusted: Sequence[Network]) -> str:
    """Who is behind the proxies: the last address of `X-Forwarded-For` that is none of ours.

    Whatever stands left of it was written by that client itself, and means nothing.
    """
    if not trusted or forwarded_for is None or not _is_in(peer, trusted):
        return peer
    client = peer
    for part in reversed(forwarded_for.split(",")):
        address = part.strip()
        if not _is_address(address):
            return client
        client = address
        if not _is_in(address, trusted):
            return client
    return client


def refuse_many_tokens(fields: dict[str, msgspec.Raw], *, most: int) -> None:
    """Keeps a request from asking for a longer answer than its caller may have.

    Raises:
        Invalid: it does, in any of the fields that the OpenAI API has for it.
    """
    for name in _TOKEN_FIELDS:
        if name in fields and _number(fields[name]) > most:
            raise Invalid("router.too-many-tokens", f"`{name}` is at most {most} for this key", most=most)


def _number(raw: msgspec.Raw) -> int:
    try:
        return _whole.decode(raw)
    except msgspec.MsgspecError:
        return 0  # no number: the model's server says so in its own words


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(read in network for network in networks)
