"""Headers that pass, and those that must not."""

import pytest

from router_svc.domain.headers import for_client, for_upstream


@pytest.mark.parametrize(
    "name",
    [b"authorization", b"cookie", b"x-api-key", b"x-forwarded-for", b"connection", b"transfer-encoding", b"host"],
)
def test_credentials_and_addresses_of_clients_never_reach_a_models_server(name: bytes) -> None:
    assert for_upstream([(name, b"x")]) == []


def test_traces_and_request_ids_go_on() -> None:
    kept = [(b"traceparent", b"00-1-2-01"), (b"tracestate", b"a=b"), (b"x-request-id", b"r")]
    assert for_upstream([*kept, (b"user-agent", b"curl")]) == kept
    assert for_upstream([(b"tracestate", b"a" * 513)]) == []


@pytest.mark.parametrize("name", [b"server", b"set-cookie", b"x-powered-by", b"transfer-encoding", b"content-length"])
def test_what_a_server_says_of_itself_never_reaches_clients(name: bytes) -> None:
    assert for_client([(name, b"x"), (b"content-type", b"text/plain")]) == [(b"content-type", b"text/plain")]


def test_what_a_connection_names_belongs_to_it() -> None:
    assert for_client([(b"connection", b"X-Own, close"), (b"x-own", b"1"), (b"x-other", b"2")]) == [(b"x-other", b"2")]
