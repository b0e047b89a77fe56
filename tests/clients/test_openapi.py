"""openapi.yaml against the running functions, and against the errors that they can answer with.

Schemathesis makes requests of the description, good and bad ones, and holds the answers against it: no status, header or
member that isn't described, nothing let in that the description forbids, and never a 5xx. The webhook routes are described
but not called here: what is not signed is refused, and what is signed is told in the stories.
"""

import json
import subprocess

import hypothesis
import pytest
import requests
import schemathesis
from bridge import PAGE, ROOT, running
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

DESCRIPTION = ROOT / "openapi.yaml"
schema = schemathesis.openapi.from_path(DESCRIPTION)
# Its own list lacks 413.
schema.config.checks.negative_data_rejection.expected_statuses = ["4xx"]
STREAMING = "arn:aws:sns:us-east-1:123456789012:chat"


@schemathesis.serializer("text/plain")
def json_as_text(ctx, value):
    """Browsers' simple requests: JSON that says it is text."""
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@pytest.fixture(scope="module")
def bridge(tmp_path_factory):
    with running(tmp_path_factory.mktemp("dev"), STREAMING_TOPIC_ARN=STREAMING) as bridge:
        yield bridge


def is_text(case):
    """Whether the body is UTF-8. To others `cargo lambda watch` answers 500 itself, where a gateway hands them over as
    base64; the stories send those."""
    body = case.as_transport_kwargs(base_url="http://localhost").get("data")
    try:
        return not isinstance(body, bytes) or body.decode() is not None
    except UnicodeDecodeError:
        return False


def what_is_forbidden_is_refused(ctx, response, case):
    """Schemathesis's own check, which does not know that a body may also be too large."""
    return response.status_code == 413 or checks.negative_data_rejection(ctx, response, case)


@(schema.include(path_regex="^/(chat|contact)").parametrize())
@hypothesis.settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_nothing_breaks_it_and_all_is_described(bridge, case):
    hypothesis.assume(is_text(case))
    case.call_and_validate(
        base_url=bridge.url(""),
        checks=[
            not_a_server_error,
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_headers_conformance,
            checks.response_schema_conformance,
            what_is_forbidden_is_refused,
        ],
    )


# What the fault plan makes Connect say, and the status that the description must know.
FAULTS = [
    (None, 200),
    ({"status": 400, "type": "InvalidRequestException"}, 400),
    ({"status": 429, "type": "LimitExceededException"}, 429),
    ({"status": 429, "type": "TooManyRequestsException"}, 429),
    ({"status": 404, "type": "ResourceNotFoundException"}, 502),
    ({"status": 500, "type": "InternalServiceException"}, 503),
]


@pytest.mark.parametrize(("fault", "status"), FAULTS)
@pytest.mark.parametrize(
    ("path", "method", "called", "body"),
    [
        ("/chat", "POST", "StartChatContact", {"customerName": "Jo"}),
        ("/contact/chat", "PUT", "StartChatContact", {"InstanceId": "", "ContactFlowId": ""}),
        ("/chat/end", "POST", "DisconnectParticipant", {"ConnectionToken": "token"}),
    ],
)
def test_answers_that_connect_brings_about(bridge, path, method, called, body, fault, status):
    """What no input alone leads to."""
    bridge.control("reset", "POST")
    if fault:
        bridge.control("faults", "POST", {"operation": called, "fault": {**fault, "times": "forever"}})
    answer = requests.request(method, bridge.url(path), json=body, headers={"Origin": PAGE}, timeout=60)
    bridge.control("faults", "DELETE")
    assert answer.status_code == status, answer.text
    schema[path][method].validate_response(answer)


@pytest.mark.parametrize(("path", "method"), [("/chat", "POST"), ("/contact/chat", "PUT"), ("/chat/end", "POST")])
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"headers": {"Origin": "https://elsewhere.example"}}, 403),
        ({"data": b"x" * 70_000}, 413),
        ({"data": b"{"}, 400),
    ],
)
def test_refusals_before_connect_is_called(bridge, path, method, change, status):
    answer = requests.request(method, bridge.url(path), **{"data": b"{}", "timeout": 60, **change})
    assert answer.status_code == status, answer.text
    schema[path][method].validate_response(answer)


@pytest.mark.parametrize(
    ("path", "method", "example"),
    [
        (path, method, example["value"])
        for path, operations in schema.raw_schema["paths"].items()
        for method, operation in operations.items()
        if method in ("post", "put")
        for content in operation["requestBody"]["content"].values()
        for example in content.get("examples", {}).values()
    ],
)
def test_examples_work(bridge, path, method, example):
    answer = requests.request(method, bridge.url(path), json=example, timeout=60)
    assert answer.status_code == 200, answer.text
    schema[path][method].validate_response(answer)


# The description and the code.

EXPORTS = json.loads(subprocess.run([ROOT / "target" / "debug" / "exports"], capture_output=True, check=True).stdout)
ERRORS = EXPORTS["errors"]
RESPONSES = schema.raw_schema["components"]["responses"]
# Said of webhooks only.
WEBHOOKS = {"Unverified", "UnverifiedYet"}
# Those of deliveries: no answer has them.
DELIVERIES = {
    "ChatEnded", "OutcomeUnknown", "StoreUnavailable", "UnknownConversation", "ProviderUnavailable", "SendRefused",
    "SendMisconfigured", "OptedOut", "StoreRejected", "StartsPaced", "AccountShut", "ConversationThrottled",
}
# Where `PUT /contact/chat` is another route.
ELSEWHERE = {"NotFound", "MethodNotAllowed"}


def test_every_provider_is_described():
    described = schema.raw_schema["components"]["parameters"]["Provider"]["schema"]["enum"]
    assert sorted(described) == sorted(EXPORTS["providers"])


def test_codes_and_statuses_are_those_of_the_code():
    described = set()
    for status, response in RESPONSES.items():
        if status.isdigit():
            [content] = response["content"].values()
            codes = content["schema"]["properties"]["error"]["properties"]["code"]["enum"]
            described |= {(int(status), code) for code in codes}
    assert described == {
        (error["status"], error["code"]) for kind, error in ERRORS.items() if kind not in WEBHOOKS | DELIVERIES
    }


def test_exceptions_are_those_of_the_code():
    described = set()
    for name, response in RESPONSES.items():
        if name.startswith("exception-"):
            exceptions = response["headers"]["x-amzn-ErrorType"]["schema"]["enum"]
            described |= {(int(name.removeprefix("exception-")), exception) for exception in exceptions}
    assert described == {
        (error["status"], error["exception"])
        for kind, error in ERRORS.items()
        if kind not in WEBHOOKS | DELIVERIES | ELSEWHERE
    }
