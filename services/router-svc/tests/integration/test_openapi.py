"""Every documented route, asked by schemathesis what its own schema allows and forbids."""

import time
from pathlib import Path

import pytest

from loopwright.settings import CommonSettings
from loopwright.testing.openapi_probe import Probing, probe
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from router_svc.domain.inference_ids import InferenceFacts, InferenceIds
from router_svc.main import build
from router_svc.settings import Settings

pytestmark = pytest.mark.integration


async def test_every_route_answers_as_its_openapi_says(
    mint: TokenMint, key_file: Path, spool_dir: Path, tmp_path: Path
) -> None:
    jwks, folder = tmp_path / "jwks.json", tmp_path / "probe"
    jwks.write_text(mint.jwks)
    folder.mkdir()
    common = CommonSettings(
        kafka_bootstrap="127.0.0.1:1", auth_jwks_file=jwks, auth_issuer=ISSUER, auth_audience=AUDIENCE
    )
    service = build(common, Settings(signing_key_file=key_file, spool_dir=spool_dir))
    ids = InferenceIds(b"k" * 32)
    facts = InferenceFacts(
        task_id="mood", task_version=1, experiment_id=None, variant_id="mood:1", unit_hash=ids.hash_unit("ada"),
        issued_ms=time.time_ns() // 1_000_000,
    )  # fmt: skip
    inference_id = ids.sign(facts, nonce=b"12345")
    probing = Probing(
        token=mint.token("admin"),
        known={"body.inference_id": [inference_id]},
        bodies={
            ("POST", "/v1/ratings"): {"inference_id": inference_id, "value": 4},
            ("POST", "/analyze"): {"text": "disk failed"},
            ("POST", "/label"): {"problem_id": "p-1", "text": "x^2=4"},
        },
        # without Kafka no task is known, so nobody can be asked
        may_be_away=("^/ready$", "^/analyze$", "^/label$"),
    )
    report = await probe(service.app, probing, folder)
    assert not report.failures, report.failures
    assert report.never_asked == set()
    # nothing runs behind this door, and no task is known
    assert report.never_succeeded == {
        ("GET", "/ready"), ("GET", "/v1/models/{model_id}"), ("GET", "/api/v1/router/assignments"), ("POST", "/analyze"),
        ("POST", "/label"),
    }  # fmt: skip
