"""The same storage on S3, spoken over HTTP to a server that speaks it."""

import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from loopwright.contracts.base import Artifact
from loopwright.errors import InvalidPayload, StoreUnavailable
from loopwright.storage import Storage

MEDIA = "application/octet-stream"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def storage(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "eu-north-1",
        "AWS_DEFAULT_REGION": "eu-north-1",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    s3 = boto3.client("s3", endpoint_url=endpoint)
    s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
    yield Storage("s3://artifacts/loopwright")
    for entry in s3.list_objects_v2(Bucket="artifacts").get("Contents", []):
        s3.delete_object(Bucket="artifacts", Key=entry["Key"])
    s3.delete_bucket(Bucket="artifacts")


async def test_bytes_come_back_under_the_prefix(storage: Storage) -> None:
    artifact = await storage.put_bytes("한글".encode(), kind="notes", suffix=".txt", media_type="text/plain")

    assert artifact.uri == f"s3://artifacts/loopwright/notes/{artifact.sha256[:2]}/{artifact.sha256}.txt"
    assert await storage.read_bytes(artifact) == "한글".encode()


async def test_a_large_file_goes_there_and_back_in_parts(storage: Storage, tmp_path: Path) -> None:
    source, target = tmp_path / "adapter.tar", tmp_path / "fetched.tar"
    source.write_bytes(os.urandom(12 << 20))

    artifact = await storage.put_file(source, kind="adapters", suffix=".tar", media_type=MEDIA)
    await storage.fetch(artifact, target)

    assert target.read_bytes() == source.read_bytes()


async def test_an_object_that_is_not_there_says_so(storage: Storage) -> None:
    artifact = Artifact(uri="s3://artifacts/loopwright/none", sha256="0" * 64, size_bytes=1)
    with pytest.raises(StoreUnavailable) as refused:
        await storage.read_bytes(artifact)
    assert refused.value.code == "storage.object-missing"


async def test_a_deleted_object_is_gone_and_can_be_deleted_again(storage: Storage) -> None:
    gone = await storage.put_bytes(b"gone", kind="k", suffix="", media_type=MEDIA)
    stays = await storage.put_bytes(b"stays", kind="k", suffix="", media_type=MEDIA)

    for _ in range(2):
        await storage.delete(gone)

    with pytest.raises(StoreUnavailable) as refused:
        await storage.read_bytes(gone)
    assert refused.value.code == "storage.object-missing"
    assert await storage.read_bytes(stays) == b"stays"


async def test_other_bytes_than_were_named_are_refused(storage: Storage) -> None:
    artifact = await storage.put_bytes(b"right", kind="k", suffix="", media_type=MEDIA)
    with pytest.raises(InvalidPayload):
        await storage.read_bytes(artifact.model_copy(update={"sha256": "0" * 64}))


@pytest.mark.parametrize("uri", ["s3://elsewhere/loopwright/k", "s3://artifacts/other/k", "file:///etc/passwd"])
async def test_another_bucket_or_prefix_is_not_read(storage: Storage, uri: str) -> None:
    with pytest.raises(InvalidPayload):
        await storage.read_bytes(Artifact(uri=uri, sha256="0" * 64, size_bytes=1))


async def test_a_bucket_that_is_not_there_is_tried_later(storage: Storage) -> None:
    absent = Storage("s3://no-such-bucket/prefix")
    with pytest.raises(StoreUnavailable):
        await absent.put_bytes(b"x", kind="k", suffix="", media_type=MEDIA)
