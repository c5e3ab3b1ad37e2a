"""Documents of every format become clean text with headings and pages; what cannot be read says why."""

import io
import zipfile

import pytest
from docx import Document
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_svc.adapters.document_process import ReadingLimits, ReadText, Refused, read_document
from dataset_svc.domain.texts.documents import Block, assemble, clean
from loopwright.errors import Invalid

LIMITS = ReadingLimits(max_chars=10_000, max_pages=3, max_unpacked_bytes=2_000_000)


def read(content: bytes, name: str = "file.txt") -> ReadText:
    found = read_document(content, name, LIMITS)
    assert isinstance(found, ReadText), found
    return found


def refusal(content: bytes, name: str = "file.txt") -> str:
    found = read_document(content, name, LIMITS)
    assert isinstance(found, Refused), found
    return found.code


def a_pdf(*pages: str) -> bytes:
    """A PDF with one line of text a page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids: list[str] = []
    for text in pages:
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /Contents {len(objects)} 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    body, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{one}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n{table}trailer << /Size {len(places) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + end.encode()


def a_docx() -> bytes:
    document = Document()
    document.add_heading("설치 안내", level=1)
    document.add_paragraph("먼저 전원을 켭니다.")
    document.add_heading("점검", level=2)
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "항목", "결과"
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def a_package(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in members.items():
            package.writestr(name.replace("_", "."), content)
    return file.getvalue()


class TestFormats:
    def test_markdown_gives_headings_without_its_marks(self):
        found = read(
            "# 설치\n\n**먼저** [전원](http://x)을 켭니다.\n\n## 점검\n\n- 하나\n\n```\ncode\n```\n".encode(), "a.md"
        )
        assert found.format == "markdown"
        assert found.document.text == "설치\n\n먼저 전원을 켭니다.\n\n점검\n\n하나\n\ncode"
        assert [(one.level, one.title, found.document.text[one.start :][:2]) for one in found.document.headings] == [
            (1, "설치", "설치"), (2, "점검", "점검"),
        ]  # fmt: skip

    def test_html_leaves_scripts_and_styles_out(self):
        page = "<html><head><title>x</title><style>p{}</style></head><body><h2>제<b>목</b></h2><script>alert(1)</script><p>첫째 &amp; 둘째</p>끝</body></html>"
        found = read(page.encode(), "a.html")
        assert found.document.text == "제목\n\n첫째 & 둘째\n\n끝"
        assert [one.title for one in found.document.headings] == ["제목"]

    def test_pdf_knows_its_pages(self):
        found = read(a_pdf("First page here.", "Second page."), "a.bin")
        assert found.format == "pdf"
        assert found.document.text == "First page here.\n\nSecond page."
        assert [found.document.page_at(offset) for offset in (0, 15, 18, 25)] == [1, 1, 2, 2]

    def test_docx_gives_headings_and_rows_of_tables(self):
        found = read(a_docx(), "a.docx")
        assert found.document.text == "설치 안내\n\n먼저 전원을 켭니다.\n\n점검\n\n항목 | 결과"
        assert [one.level for one in found.document.headings] == [1, 2]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
    def test_text_is_found_in_its_encoding(self, encoding):
        assert read("서버 점검 안내\r\n\r\n둘째 문단".encode(encoding)).document.text == "서버 점검 안내\n\n둘째 문단"


class TestRefusals:
    def test_bytes_that_are_no_text_are_named(self):
        assert refusal(b"\x80\x81\xfe\xff" * 20) == "document.encoding-unknown"
        assert refusal(b"\x7fELF\0\0\0") == "document.format-unknown"
        assert refusal("\u00e9\u00fc\u00df \u00d8re".encode("latin-1") * 30) == "document.encoding-unknown"
        # CP949 gives these bytes a meaning, and it is not Korean
        assert refusal("Привет мир".encode("cp949") * 5) == "document.encoding-unknown"

    def test_empty_and_endless_documents(self):
        assert refusal(b" \n ") == "document.no-text"
        assert refusal(b"word " * 3000) == "document.too-long"
        assert refusal(a_pdf("1", "2", "3", "4")) == "document.too-many-pages"

    def test_a_zip_bomb_is_refused_before_it_unpacks(self):
        bomb = a_package(word_xml=b"0" * 2_000_001)
        assert len(bomb) < 4000
        assert refusal(bomb) == "document.unpacks-too-large"
        many = a_package(**{f"f{number}": b"" for number in range(2001)})
        assert refusal(many) == "document.unpacks-too-large"

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    def test_entities_are_refused_in_any_encoding(self, encoding):
        lie = '<!DOCTYPE d [<!ENTITY a "aaaa">]><d>&a;</d>'.encode(encoding)
        assert refusal(a_package(document_xml=lie)) == "document.entities"

    def test_broken_files_are_unreadable_and_nothing_worse(self):
        assert refusal(a_package(other_txt=b"x")) == "document.unreadable"
        assert refusal(b"PK\3\4 no zip") == "document.unreadable"
        assert refusal(b"%PDF-1.4 broken") == "document.unreadable"

    @settings(max_examples=60)
    @given(st.sampled_from([b"", b"%PDF-1.7\n", b"PK\3\4", b"<html>", b"# x\n"]), st.binary(max_size=300))
    def test_any_bytes_give_a_text_or_a_reason(self, start, rest):
        found = read_document(start + rest, "file.md", LIMITS)
        assert isinstance(found, ReadText) or found.code.startswith("document.")


class TestCleaning:
    @given(st.text(max_size=200))
    def test_is_idempotent_and_fit_for_the_database(self, text):
        once = clean(text)
        assert clean(once) == once
        assert "\0" not in once
        once.encode()

    def test_lone_surrogates_and_controls_go(self):
        assert clean("a\ud800b\x07c\u200b") == "abc"

    def test_no_more_is_kept_than_allowed(self):
        with pytest.raises(Invalid) as refused:
            assemble((Block(text="x" * 100) for _ in range(1 << 40)), max_chars=1000)
        assert refused.value.code == "document.too-long"
