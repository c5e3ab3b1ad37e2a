"""Readers of each format: bytes in, blocks of text out. They run only inside `document_process.py`, under its limits."""

import io
import logging
import re
import zipfile
from collections.abc import Callable, Iterator

from docx import Document
from docx.table import Table
from docx.text.paragraph import Paragraph
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] - a compiled module
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pypdf import PdfReader

from dataset_svc.domain.texts.documents import Block, DocumentFormat, paragraphs_of
from loopwright.errors import Invalid

_MOST_ZIP_MEMBERS = 2000
_HANGUL_SHARE_0_1 = 0.5
_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3\u4e00-\u9fff]")
_SILENT = frozenset({"script", "style", "noscript", "template", "head", "svg", "math", "iframe", "object", "nav"})
_INLINE = frozenset(
    {
        "a",
        "abbr",
        "b",
        "bdi",
        "bdo",
        "cite",
        "code",
        "em",
        "font",
        "i",
        "kbd",
        "mark",
        "q",
        "s",
        "samp",
        "small",
        "span",
    }
    | {"strong", "sub", "sup", "tt", "u", "var", "wbr", "ins", "del", "label"}
)
_HEADING = re.compile(r"(?:heading|제목)\s*([1-6])$", re.IGNORECASE)
_LIES = (b"<!DOCTYPE", b"<!ENTITY")

logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def sniff(content: bytes, name: str) -> DocumentFormat:
    """The format: what the first bytes say, then the name's ending; anything else that is text is text.

    Raises:
        Invalid: it is none of those that are read (`document.format-unknown`).
    """
    if content[:1024].lstrip().startswith(b"%PDF-"):
        return DocumentFormat.PDF
    if content.startswith(b"PK\3\4"):
        return DocumentFormat.DOCX
    if b"\0" in content and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Invalid("document.format-unknown", "the file is neither PDF nor DOCX, and no text either")
    ending = name.lower().rpartition(".")[2]
    start = content[:2048].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if ending in {"html", "htm", "xhtml"} or start.startswith((b"<!doctype html", b"<html")):
        return DocumentFormat.HTML
    return DocumentFormat.MARKDOWN if ending in {"md", "markdown"} else DocumentFormat.TEXT


def decode(content: bytes) -> str:
    """Text in UTF-8, UTF-16 with its mark, or CP949.

    Raises:
        Invalid: it is none of them (`document.encoding-unknown`).
    """
    marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "cp949"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != "cp949" or _is_korean(text):
            return text
    raise Invalid("document.encoding-unknown", "the text is in none of UTF-8, UTF-16 with its mark and CP949")


def _is_korean(text: str) -> bool:
    """CP949 reads many bytes that were never meant so; then most of what it gives is no Korean."""
    foreign = sum(1 for sign in text if ord(sign) > 0x7F)
    return len(_HANGUL.findall(text)) >= foreign * _HANGUL_SHARE_0_1


def read_text(content: bytes, _: int) -> Iterator[Block]:
    for paragraph in paragraphs_of(decode(content).replace("\r\n", "\n")):
        yield Block(text=paragraph)


def read_markdown(content: bytes, _: int) -> Iterator[Block]:
    level = 0
    for token in MarkdownIt("commonmark").enable("table").parse(decode(content)):
        if token.type == "heading_open":
            level = int(token.tag[1:])
        elif token.type == "heading_close":
            level = 0
        elif token.type == "inline":
            yield Block(text=_plain_text(token), level=level)
        elif token.type in {"fence", "code_block"}:
            yield Block(text=token.content)
        elif token.type == "html_block":
            yield from _html_blocks(token.content)


def _plain_text(token: Token) -> str:
    pieces = (
        "\n" if child.type in {"softbreak", "hardbreak"} else child.content
        for child in token.children or ()
        if child.type in {"text", "code_inline", "softbreak", "hardbreak", "image", "text_special"}
    )
    return "".join(pieces)


def read_html(content: bytes, _: int) -> Iterator[Block]:
    yield from _html_blocks(decode(content))


def _html_blocks(text: str) -> Iterator[Block]:
    """Walks the tree without recursion; block elements part paragraphs, silent ones are passed over."""
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False, remove_comments=True, remove_pis=True)
    root = etree.fromstring(text.encode("utf-8", "ignore"), parser)
    if root is None:
        return
    held: list[str] = []
    level = silent = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        tag = element.tag if isinstance(element.tag, str) else ""
        quiet = tag in _SILENT
        if not silent and tag not in _INLINE:
            if "".join(held).strip():
                yield Block(text=" ".join("".join(held).split()), level=level)
            held.clear()
            level = int(tag[1]) if event == "start" and re.fullmatch("h[1-6]", tag) else 0
        silent += (1 if event == "start" else -1) if quiet else 0
        text_here = element.text if event == "start" else element.tail
        if not silent and text_here:
            held.append(text_here)
    if "".join(held).strip():
        yield Block(text=" ".join("".join(held).split()))


def read_pdf(content: bytes, max_pages: int) -> Iterator[Block]:
    reader = PdfReader(io.BytesIO(content), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        raise Invalid("document.encrypted", "the PDF needs a password")
    count = len(reader.pages)
    if count > max_pages:
        raise Invalid("document.too-many-pages", f"the PDF has {count} pages, and at most {max_pages} are read")
    titles = _outline(reader)
    for number, page in enumerate(reader.pages, start=1):
        yield Block(text="", page=number)
        for paragraph in paragraphs_of(page.extract_text()):
            yield from _pdf_paragraph(paragraph, number, titles)


def _pdf_paragraph(paragraph: str, page: int, titles: dict[str, int]) -> Iterator[Block]:
    """Lines of a paragraph are one text; a line that a bookmark of its page names is a heading."""
    held: list[str] = []
    for line in paragraph.split("\n"):
        level = titles.get(f"{page} {' '.join(line.split())}")
        if level is None:
            held.append(line.strip())
            continue
        yield Block(text=" ".join(held), page=page)
        held.clear()
        yield Block(text=line, level=level, page=page)
    yield Block(text=" ".join(held), page=page)


def _outline(reader: PdfReader, *, most: int = 2000) -> dict[str, int]:
    """Levels of bookmarks by `<page> <title>`; none if the outline cannot be read."""
    found: dict[str, int] = {}
    try:
        waiting: list[tuple[object, int]] = [(reader.outline, 1)]
        while waiting and len(found) < most:
            entry, level = waiting.pop()
            if isinstance(entry, list):
                deeper = [(one, level + (1 if isinstance(one, list) else 0)) for one in entry]
                waiting += [(one, min(below, 7)) for one, below in deeper]
            elif (page := reader.get_destination_page_number(entry)) is not None:  # pyright: ignore[reportArgumentType] - an outline holds destinations and lists
                found[f"{page + 1} {' '.join(str(entry.title).split())}"] = max(1, min(level - 1, 6))  # pyright: ignore[reportAttributeAccessIssue] - as above
    except Exception:  # noqa: BLE001 - bookmarks only help; pypdf raises whatever a broken file leads to
        return found
    return found


def check_package(content: bytes, *, max_unpacked_bytes: int) -> None:
    """Looks at a DOCX before anything unpacks it whole.

    Raises:
        Invalid: it would unpack too large (`document.unpacks-too-large`), or declares entities (`document.entities`).
    """
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        members = package.infolist()
        # zipfile reads no more of a member than its header declares, so the sum of the headers is a bound
        if len(members) > _MOST_ZIP_MEMBERS or sum(one.file_size for one in members) > max_unpacked_bytes:
            raise Invalid("document.unpacks-too-large", "the file unpacks to more than is read")
        for member in members:
            if member.filename.endswith((".xml", ".rels")):
                plain = package.read(member).replace(b"\0", b"")
                if any(lie in plain for lie in _LIES):
                    raise Invalid("document.entities", "the file declares XML entities or a document type")


def read_docx(content: bytes, _: int) -> Iterator[Block]:
    for item in Document(io.BytesIO(content)).iter_inner_content():
        if isinstance(item, Paragraph):
            yield Block(text=item.text, level=_level_of(item))
        else:
            yield from _rows(item)


def _rows(table: Table) -> Iterator[Block]:
    for row in table.rows:
        cells = dict.fromkeys(
            " ".join(cell.text.split()) for cell in row.cells
        )  # a merged cell comes once for each place
        yield Block(text=" | ".join(text for text in cells if text))


def _level_of(paragraph: Paragraph) -> int:
    name = (paragraph.style.name if paragraph.style is not None else None) or ""
    match = _HEADING.match(name)
    return int(match[1]) if match else 1 if name == "Title" else 0


READERS: dict[DocumentFormat, Callable[[bytes, int], Iterator[Block]]] = {
    DocumentFormat.TEXT: read_text,
    DocumentFormat.MARKDOWN: read_markdown,
    DocumentFormat.HTML: read_html,
    DocumentFormat.PDF: read_pdf,
    DocumentFormat.DOCX: read_docx,
}
