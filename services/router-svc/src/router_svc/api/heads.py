"""Requests of models' endpoints whose head has come before on their connection: they are not parsed again.

A client that keeps its connection sends nearly the same head each time. What differs from the last one that llhttp read in
more than plain values of ordinary headers is llhttp's to read.
"""

from collections.abc import Sequence
from typing import Final

from loopwright.errors import PlatformError
from router_svc.domain.questions import Endpoint

COST: Final = 4  # of getting to know a head, in heads that then need not be parsed
MOST_CREDIT: Final = 3 * COST  # of a connection: where heads keep changing, they are soon just parsed
_LINE_END: Final = b"\r\n"
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length"
_MOST_DIGITS: Final = 9  # of a length
_SPACE: Final = 32
_UNCOMMON: Final = frozenset({b"expect", b"transfer-encoding", b"upgrade"})
_FIXED: Final = frozenset({b"connection", b"proxy-connection"})  # llhttp reads their values


class HotRequest:
    """A request of a model's endpoint, as far as it has come.

    Attributes:
        headers: Names in lower case. Requests of one head share them: nobody may change them.
        missing: Bytes of the body that are still to come, if llhttp does not watch over that.
    """

    __slots__ = ("body", "endpoint", "headers", "keep_alive", "missing", "refusal", "size")

    def __init__(self, endpoint: Endpoint, headers: dict[bytes, bytes], *, keep_alive: bool) -> None:
        self.endpoint = endpoint
        self.headers = headers
        self.keep_alive = keep_alive
        self.body: list[bytes] = []
        self.size = 0
        self.missing = 0
        self.refusal: PlatformError | None = None

    def take(self, data: bytes) -> bytes:
        """Takes what belongs to the body; returns what comes after it."""
        part = data if len(data) <= self.missing else data[: self.missing]
        self.body.append(part)
        self.size += len(part)
        self.missing -= len(part)
        return data[len(part) :]


class KnownHead:
    """A head that llhttp has read: of a POST that keeps its connection, with a body of a told length.

    Args:
        starts: Of each line, up to its value; empty where nothing may differ.
        names: Of each line's header.
    """

    __slots__ = ("_end", "_endpoint", "_fixed", "_headers", "_lines", "_loose", "_loose_names", "_names", "_size",
                 "_starts")  # fmt: skip

    def __init__(
        self, endpoint: Endpoint, lines: list[bytes], starts: list[bytes], names: list[bytes], headers: dict[bytes, bytes]
    ) -> None:  # fmt: skip
        self._endpoint = endpoint
        self._lines = lines
        self._starts = starts
        self._names = names
        self._headers = headers
        self._size = int(headers[_LENGTH])
        self._loose = {names.index(_LENGTH)}  # lines that differ from request to request
        self._fixed: list[bytes] = []  # what comes before the value of each of them
        self._loose_names: list[bytes] = []
        self._end = b""  # what comes after the last value
        self._cut()

    def begin(self, data: bytes, *, most: int, keep_alive: bool) -> HotRequest | None:
        """The request that data begins, if it has this head but for values, and nothing comes after it.

        Args:
            most: Bytes of a body.
        """
        values: list[bytes] = []
        end = self._match(data, values)
        if end < 0 and self._loosen(data):
            values.clear()
            end = self._match(data, values)
        if end < 0:
            return None
        headers = self._headers_with(values)
        if headers is None:
            return None
        size = self._size if headers is self._headers else int(headers[_LENGTH])
        body = data[end:]
        if len(body) > size or size > most:
            return None
        hot = HotRequest(self._endpoint, headers, keep_alive=keep_alive)
        if body:
            hot.body.append(body)
        hot.size = len(body)
        hot.missing = size - len(body)
        return hot

    def _headers_with(self, values: list[bytes]) -> dict[bytes, bytes] | None:
        """The headers with these values of the loose lines; None if one of them is not for us to read."""
        known = headers = self._headers
        for place, value in enumerate(values):
            name = self._loose_names[place]
            if value == known[name]:
                continue
            if not (_is_length(value) if name == _LENGTH else _is_plain(value)):
                return None
            if headers is known:
                headers = known.copy()
            headers[name] = value
        return headers

    def _match(self, data: bytes, values: list[bytes]) -> int:
        """Finds the values of the loose lines, whatever they are; returns where the head ends, -1 if it is another one."""
        place = 0
        for fixed in self._fixed:
            start = place + len(fixed)
            if data[place:start] != fixed:
                return -1
            place = data.find(_LINE_END, start)
            if place < 0:
                return -1
            values.append(data[start:place])
        end = place + len(self._end)
        return end if data[place:end] == self._end else -1

    def _loosen(self, data: bytes) -> bool:
        """Loosens lines that were the same up to now; False if that does not help."""
        lines = data.partition(_HEAD_END)[0].split(_LINE_END)
        if len(lines) != len(self._lines):
            return False
        differing = [
            place for place, line in enumerate(lines) if line != self._lines[place] and place not in self._loose
        ]
        for place in differing:
            if not self._starts[place] or not lines[place].startswith(self._starts[place]):
                return False
        self._loose.update(differing)
        self._cut()
        return bool(differing)

    def _cut(self) -> None:
        self._fixed, self._loose_names = [], []
        piece = b""
        for place, line in enumerate(self._lines):
            if place in self._loose:
                self._fixed.append(piece + self._starts[place])
                self._loose_names.append(self._names[place])
                piece = _LINE_END
            else:
                piece += line + _LINE_END
        self._end = piece + _LINE_END


def known_head(data: bytes, endpoint: Endpoint, url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> KnownHead | None:
    """The head that data begins with, if it is one to be known again.

    Args:
        data: Begins with a request, which need not be the last one in it.
        headers: Of the last request that llhttp read in it, names in lower case, and so is `url`.
    """
    lines = data.partition(_HEAD_END)[0].split(_LINE_END)
    by_name = dict(headers)
    if not _is_length(by_name.get(_LENGTH, b"")):
        return None
    if not len(lines) - 1 == len(headers) == len(by_name) or not _UNCOMMON.isdisjoint(by_name):
        return None
    if lines[0] != b"POST %b HTTP/1.1" % url:
        return None
    starts, names = [b""], [b""]
    for line, (name, value) in zip(lines[1:], headers, strict=True):
        start = line[: len(name) + 2]
        if start.lower() != name + b": " or line[len(start) :] != value:
            return None
        starts.append(b"" if name in _FIXED else start)
        names.append(name)
    return KnownHead(endpoint, lines, starts, names, by_name)


def joined(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Lines of one name are one list (RFC 9110, 5.3), but for credentials: of several, the last one counts."""
    by_name: dict[bytes, bytes] = {}
    for name, value in headers:
        known = None if name == b"authorization" else by_name.get(name)
        by_name[name] = value if known is None else known + (b"; " if name == b"cookie" else b", ") + value
    return by_name


def _is_length(value: bytes) -> bool:
    return len(value) <= _MOST_DIGITS and value.isdigit()


def _is_plain(value: bytes) -> bool:
    """Whether llhttp takes it as it stands: no controls (RFC 9110, 5.5), and no spaces around it."""
    return len(value) > 0 and value[0] > _SPACE and value[-1] > _SPACE and value.decode("latin-1").isprintable()
