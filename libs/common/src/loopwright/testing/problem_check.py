"""What schemathesis is to expect of every error, beside what it checks by itself; it loads this by name."""

import schemathesis
from schemathesis import Case, CheckContext, Response

from loopwright.problems import MEDIA_TYPE, Problem

schemathesis.serializer.alias("application/x-ndjson", "text/plain")  # JSON Lines, which it does not know by itself


@schemathesis.check
def errors_are_problems(_: CheckContext, response: Response, case: Case) -> None:  # pyright: ignore[reportMissingTypeArgument] - of any kind
    """Every error is a problem with a code, unless the OpenAPI documents another body for it."""
    if response.status_code < 400 or case.method.upper() == "HEAD":
        return
    documented = case.operation.definition.raw["responses"].get(str(response.status_code), {}).get("content", {})
    if documented and MEDIA_TYPE not in documented:
        return
    sent = response.headers.get("content-type", ["none"])[0]
    assert sent == MEDIA_TYPE, f"an error is {MEDIA_TYPE}, not {sent}"
    problem = Problem.model_validate(response.json())
    assert problem.code, "a problem has a code"
    assert problem.status == response.status_code, "a problem's status is the answer's"
