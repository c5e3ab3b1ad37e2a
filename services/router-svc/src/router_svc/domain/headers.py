"""Which headers pass: of a client's few, of a model's server all but those that tell of it or belong to its connection."""

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

# of one connection, not of what it carries (RFC 9110, 7.6.1), and how long that is, which we say ourselves
_HOP_BY_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"content-length",
    }
)  # fmt: skip
# what a server should say of itself to nobody outside, and cookies, which would be another site's
_INWARD = frozenset(
    {
        b"server", b"x-powered-by", b"via", b"set-cookie", b"set-cookie2", b"www-authenticate", b"alt-svc", b"date",
        b"strict-transport-security", b"x-served-by", b"x-backend", b"x-runtime",
    }
)  # fmt: skip
# everything else of a client stays here: credentials, cookies, addresses, and what a server would read as an order
_UPSTREAM = frozenset({b"traceparent", b"tracestate", b"x-request-id"})
_LONGEST_VALUE = 512  # bytes; a trace's state may have as many (W3C Trace Context, 3.3.1.1)


def lines_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as a head has them, each line with its end."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def for_upstream(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Headers of a client, names in lower case, that a model's server gets to see."""
    return [(name, value) for name, value in headers if name in _UPSTREAM and len(value) <= _LONGEST_VALUE]


def for_client(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Headers of a model's server, names in lower case, that the client gets to see."""
    every = list(headers)
    named = b",".join(value.lower() for name, value in every if name == b"connection")
    own = {part.strip() for part in named.split(b",")} if named else frozenset[bytes]()
    return [
        (name, value) for name, value in every if name not in _HOP_BY_HOP and name not in _INWARD and name not in own
    ]
