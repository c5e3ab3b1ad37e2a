"""Signed folders: what is accepted, and every way to change one that is not."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from loopwright.errors import InvalidPayload
from loopwright.signatures import (
    SIGNATURE_FILE,
    Manifest,
    SignedFile,
    key_id_of,
    read_private_key,
    read_public_keys,
    sign_folder,
    verify_folder,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
TRUSTED = (KEY.public_key(),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A signed folder of two files."""
    made = tmp_path / "adapter"
    (made / "inner").mkdir(parents=True)
    (made / "adapter_model.safetensors").write_bytes(b"weights")
    (made / "inner" / "가중치.json").write_text("{}")
    sign_folder(made, KEY, subject="job-1")
    return made


def code_of(folder: Path) -> str:
    with pytest.raises(InvalidPayload) as refused:
        verify_folder(folder, TRUSTED)
    return refused.value.code


def rewrite(folder: Path, change: Callable[[dict[str, object]], None]) -> None:
    path = folder / SIGNATURE_FILE
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


class TestVerify:
    def test_names_what_was_signed(self, folder: Path) -> None:
        manifest = verify_folder(folder, TRUSTED)
        assert manifest.subject == "job-1"
        assert [file.path for file in manifest.files] == ["adapter_model.safetensors", "inner/가중치.json"]

    def test_needs_only_one_of_several_keys(self, folder: Path) -> None:
        assert verify_folder(folder, (OTHER.public_key(), *TRUSTED)).subject == "job-1"

    def test_accepts_a_folder_that_was_signed_again(self, folder: Path) -> None:
        (folder / "README.md").write_text("more")
        sign_folder(folder, KEY, subject="job-1")
        assert len(verify_folder(folder, TRUSTED).files) == 3

    def test_does_not_mind_how_the_signature_file_is_laid_out(self, folder: Path) -> None:
        rewrite(folder, lambda content: None)
        verify_folder(folder, TRUSTED)


class TestRefusals:
    def test_of_a_changed_file_of_equal_length(self, folder: Path) -> None:
        (folder / "adapter_model.safetensors").write_bytes(b"wEights")
        assert code_of(folder) == "signature.file-changed"

    def test_of_a_file_that_grew(self, folder: Path) -> None:
        (folder / "adapter_model.safetensors").write_bytes(b"weights and more")
        assert code_of(folder) == "signature.file-changed"

    def test_of_a_missing_file(self, folder: Path) -> None:
        (folder / "inner" / "가중치.json").unlink()
        assert code_of(folder) == "signature.file-missing"

    def test_of_an_added_file(self, folder: Path) -> None:
        (folder / "inner" / "code.py").write_text("")
        assert code_of(folder) == "signature.file-added"

    def test_of_a_link_in_place_of_a_file_with_the_same_content(self, folder: Path) -> None:
        path = folder / "adapter_model.safetensors"
        path.rename(folder.parent / "elsewhere")
        path.symlink_to(folder.parent / "elsewhere")
        assert code_of(folder) == "signature.no-plain-file"

    def test_of_a_link_to_a_folder(self, folder: Path) -> None:
        (folder / "more").symlink_to(folder.parent)
        assert code_of(folder) == "signature.no-plain-file"

    def test_of_a_device(self, folder: Path) -> None:
        os.mkfifo(folder / "pipe")
        assert code_of(folder) == "signature.no-plain-file"

    def test_of_a_folder_without_signature(self, folder: Path) -> None:
        (folder / SIGNATURE_FILE).unlink()
        assert code_of(folder) == "signature.missing"

    @pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"{}" + b" " * (1 << 20)])
    def test_of_a_signature_file_that_holds_none(self, folder: Path, content: bytes) -> None:
        (folder / SIGNATURE_FILE).write_bytes(content)
        assert code_of(folder) == "signature.unreadable"

    def test_of_a_signature_that_is_a_link(self, folder: Path) -> None:
        (folder / SIGNATURE_FILE).rename(folder.parent / "signature.json")
        (folder / SIGNATURE_FILE).symlink_to(folder.parent / "signature.json")
        assert code_of(folder) == "signature.unreadable"

    def test_of_an_unknown_key(self, folder: Path) -> None:
        sign_folder(folder, OTHER, subject="job-1")
        assert code_of(folder) == "signature.key-unknown"

    def test_of_an_unknown_key_under_a_known_name(self, folder: Path) -> None:
        sign_folder(folder, OTHER, subject="job-1")
        rewrite(folder, lambda content: content.update(key_id=key_id_of(KEY.public_key())))
        assert code_of(folder) == "signature.wrong"

    def test_of_another_subject_under_the_same_signature(self, folder: Path) -> None:
        rewrite(folder, lambda content: content["manifest"].update(subject="job-2"))
        assert code_of(folder) == "signature.wrong"

    def test_of_a_list_that_was_changed_along_with_the_file(self, folder: Path) -> None:
        (folder / "inner" / "가중치.json").unlink()
        rewrite(folder, lambda content: content["manifest"]["files"].pop())
        assert code_of(folder) == "signature.wrong"

    @pytest.mark.parametrize("signature", ["", "?", "AAAA"])
    def test_of_a_signature_of_strange_length(self, folder: Path, signature: str) -> None:
        rewrite(folder, lambda content: content.update(signature=signature))
        assert code_of(folder) == "signature.wrong"

    def test_to_sign_a_folder_with_links(self, folder: Path) -> None:
        (folder / "more").symlink_to("/etc")
        with pytest.raises(InvalidPayload, match="no-plain-file"):
            sign_folder(folder, KEY, subject="job-1")


def test_signs_one_form_of_the_list_whatever_its_order_of_fields() -> None:
    file = SignedFile(path="가.bin", size_bytes=3, sha256="0" * 64)
    assert (
        Manifest(subject="j", files=(file,)).canonical()
        == ('{"files":[{"path":"가.bin","sha256":"' + "0" * 64 + '","size_bytes":3}],"subject":"j"}').encode()
    )


class TestKeyFiles:
    def test_hold_a_private_key_and_several_public_ones(self, tmp_path: Path) -> None:
        private, public = tmp_path / "private.pem", tmp_path / "public.pem"
        private.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        texts = [key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in (OTHER, KEY)]
        public.write_bytes(b"".join(texts))
        assert read_private_key(private).public_key() == KEY.public_key()
        assert read_public_keys(public) == (OTHER.public_key(), KEY.public_key())

    def test_with_keys_of_another_kind_are_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "key.pem"
        key = generate_private_key(SECP256R1())
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        with pytest.raises(ValueError, match="no Ed25519 key"):
            read_private_key(file)
        file.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        with pytest.raises(ValueError, match="Ed25519"):
            read_public_keys(file)

    @pytest.mark.parametrize(
        "content", [b"", b"nothing", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
    )
    def test_with_no_keys_are_refused(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "key.pem"
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"key\.pem"):
            read_public_keys(file)
        with pytest.raises(ValueError, match=r"key\.pem"):
            read_private_key(file)
