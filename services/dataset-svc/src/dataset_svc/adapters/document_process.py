"""The process that reads one document: bytes on its standard input, text or a refusal on its standard output."""

import sys

import msgspec

from dataset_svc.adapters.limited_process import limit_this_process
from dataset_svc.domain.texts.documents import DocumentFormat, DocumentText, assemble
from loopwright.errors import Invalid


class ReadingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What reading one document may cost."""

    max_chars: int = 4_000_000
    max_pages: int = 2000
    max_unpacked_bytes: int = 100 << 20
    memory_bytes: int = 1 << 30
    timeout_s: int = 30


class ReadText(msgspec.Struct, frozen=True, tag="text"):
    """What was read."""

    format: DocumentFormat
    document: DocumentText


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Why nothing was: code and detail of the problem."""

    code: str
    detail: str


Outcome = ReadText | Refused


def read_document(content: bytes, name: str, limits: ReadingLimits) -> Outcome:
    """Never raises; meant for the child only, where limits hold."""
    # imported here: the service itself never loads the parsers
    from dataset_svc.adapters.document_formats import READERS, check_package, sniff  # noqa: PLC0415

    kind = None
    try:
        kind = sniff(content, name)
        if kind is DocumentFormat.DOCX:
            check_package(content, max_unpacked_bytes=limits.max_unpacked_bytes)
        blocks = READERS[kind](content, limits.max_pages)
        return ReadText(format=kind, document=assemble(blocks, max_chars=limits.max_chars))
    except Invalid as error:
        return Refused(code=error.code, detail=error.detail)
    except MemoryError:
        return Refused(code="document.too-costly", detail="reading the document takes more memory than it may")
    except Exception:  # noqa: BLE001 - parsers raise whatever a hostile file leads them to
        return Refused(code="document.unreadable", detail=f"the document cannot be read as {kind}")


def main() -> None:
    name, limits = sys.argv[1], msgspec.json.decode(sys.argv[2], type=ReadingLimits)
    limit_this_process(memory_bytes=limits.memory_bytes, cpu_s=limits.timeout_s)
    outcome = read_document(sys.stdin.buffer.read(), name, limits)
    sys.stdout.buffer.write(msgspec.json.encode(outcome))


if __name__ == "__main__":
    main()
