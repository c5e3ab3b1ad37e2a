"""Text of documents, read by a process of its own: what a file does there harms nobody."""

import asyncio

import msgspec

from dataset_svc.adapters.document_process import Outcome, ReadingLimits, ReadText, Refused
from dataset_svc.adapters.limited_process import ProcessEnded, ask_once, start
from loopwright.errors import Invalid

_MODULE = "dataset_svc.adapters.document_process"
_AT_ONCE = 2
_GRACE_S = 5  # to start Python and its parsers
_decoder = msgspec.json.Decoder[Outcome](Outcome)


class DocumentTexts:
    """Reads documents, two at a time.

    Args:
        limits: Of each; the text's length bounds what the process may say.
    """

    def __init__(self, limits: ReadingLimits | None = None) -> None:
        self._limits = limits or ReadingLimits()
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def read(self, content: bytes, *, name: str) -> ReadText:
        """Text, headings and pages of a file.

        Args:
            name: File name; its ending tells formats that look alike apart.

        Raises:
            Invalid: it is no document that we read, or costs more than it may; the code says which.
        """
        limits = self._limits
        safe_name = "".join(sign for sign in name[-100:] if sign.isascii() and sign.isprintable()) or "document"
        async with self._free:
            process = await start(_MODULE, safe_name, msgspec.json.encode(limits).decode())
            try:
                answer = await ask_once(
                    process, content, timeout_s=limits.timeout_s + _GRACE_S, max_answer_bytes=limits.max_chars * 12
                )
                outcome = _decoder.decode(answer)
            except (ProcessEnded, msgspec.DecodeError, UnicodeDecodeError) as error:
                detail = f"reading the document takes more time or memory than it may ({limits.timeout_s} s)"
                raise Invalid("document.too-costly", detail, timeout_s=limits.timeout_s) from error
        if isinstance(outcome, Refused):
            raise Invalid(outcome.code, outcome.detail)
        return outcome
