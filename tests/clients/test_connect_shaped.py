"""`PUT /contact/chat` by the AWS CLI and boto3, which believe that the bridge is Connect.

The bridge is run by `local/dev.sh`; every request goes to 127.0.0.1.
"""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import boto3
import botocore.config
import botocore.exceptions
import botocore.session
import pytest
from bridge import running

AWS_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_PAGER": "",
}
INSTANCE_ID = "44444444-4444-4444-8444-444444444444"
FLOW_ID = "33333333-3333-4333-8333-333333333333"
TOPIC_ARN = "arn:aws:sns:us-east-1:123456789012:chat"
INTERACTIVE = "application/vnd.amazonaws.connect.message.interactive"
SIGNING_KEY = "a widget's signing key, used as text"

MINIMAL = {"InstanceId": INSTANCE_ID, "ContactFlowId": FLOW_ID, "ParticipantDetails": {"DisplayName": "Jane"}}
# What every parameter of StartChatContact may hold. The bridge adds the attribute `customerName` where it is missing.
EVERY_PARAMETER = MINIMAL | {
    "Attributes": {"page": "/cart", "customer-tier_1": "gold", "customerName": "Jane"},
    "ParticipantConfiguration": {"ResponseMode": "COMPLETE"},
    "InitialMessage": {"ContentType": "text/plain", "Content": "Grüße"},
    "ClientToken": "a-token-of-mine-of-some-length",
    "ChatDurationInMinutes": 60,
    "SupportedMessagingContentTypes": ["text/plain", INTERACTIVE, f"{INTERACTIVE}.response"],
    "PersistentChat": {"RehydrationType": "FROM_SEGMENT", "SourceContactId": "set by the test"},
    "RelatedContactId": "related",
    "SegmentAttributes": {"connect:Subtype": {"ValueString": "connect:Guide"}},
    "CustomerId": "customer",
    "DisconnectOnCustomerExit": ["AGENT"],
    "ConnectionTypes": ["WEBSOCKET", "CONNECTION_CREDENTIALS"],
    "ChatStreamingConfiguration": {"StreamingEndpointArn": TOPIC_ARN},
}


@pytest.fixture(scope="module")
def open_bridge(tmp_path_factory):
    with running(tmp_path_factory.mktemp("dev"), STREAMING_TOPIC_ARN=TOPIC_ARN) as bridge:
        yield bridge


@pytest.fixture
def bridge(open_bridge):
    open_bridge.control("reset", "POST")
    return open_bridge


@pytest.fixture(scope="module")
def signed_bridge(tmp_path_factory):
    settings = json.dumps({"widget": {"signing_keys": [SIGNING_KEY]}})
    with running(tmp_path_factory.mktemp("dev"), BRIDGE_SETTINGS=settings) as bridge:
        yield bridge


@pytest.fixture(autouse=True)
def aws_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in AWS_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def client(bridge, session_token=None):
    config = botocore.config.Config(retries={"mode": "standard", "total_max_attempts": 1})
    credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "aws_session_token": session_token}
    return boto3.client("connect", endpoint_url=bridge.url(""), config=config, **credentials)


def cli(*arguments, **environment):
    aws = Path(sys.executable).with_name("aws")
    return subprocess.run(
        [sys.executable, str(aws), "connect", "start-chat-contact", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def cli_start(bridge, parameters, **environment):
    return cli("--endpoint-url", bridge.url(""), "--cli-input-json", json.dumps(parameters), **environment)


def calls(bridge):
    return [call for call in bridge.control("calls")["calls"] if call["operation"] == "StartChatContact"]


def token(**claims):
    """A signed token, as the recipe of docs/widget.md makes it."""
    now = int(time.time())

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    signed = part({"alg": "HS256", "typ": "JWT"}) + b"." + part({"sub": "widget-1", "iat": now, "exp": now + 300, **claims})
    signature = hmac.new(SIGNING_KEY.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def two_requests(names, source):
    """All these parameters, in two requests: a persistent chat and a related one exclude each other."""
    every = {name: EVERY_PARAMETER[name] for name in names} | MINIMAL
    every["PersistentChat"] = {**EVERY_PARAMETER["PersistentChat"], "SourceContactId": source}
    return [
        {name: value for name, value in every.items() if name != "RelatedContactId"},
        {name: value for name, value in every.items() if name not in ("PersistentChat", "ClientToken")},
    ]


def ended_chat(bridge):
    contact_id = client(bridge).start_chat_contact(**MINIMAL)["ContactId"]
    bridge.control(f"contacts/{contact_id}/end", "POST")
    bridge.control("calls", "DELETE")
    return contact_id


def assert_everything_arrived(bridge, requests):
    """What Connect was asked is what the client was told, but for the ClientToken, which leaves as a digest, and the channel,
    which the bridge adds."""
    told = [{name: value for name, value in request.items() if name != "ClientToken"} for request in requests]
    for request in told:
        request["Attributes"] = {**request.get("Attributes", {}), "channel": "web"}
    asked = [call["body"] for call in calls(bridge)]
    digests = [body.pop("ClientToken") for body in asked]
    assert asked == told
    assert all(len(digest) == 64 for digest in digests) and len(set(digests)) == len(digests)


def test_cli_sends_every_parameter_of_its_help(bridge):
    names = set(json.loads(cli("--generate-cli-skeleton").stdout))
    assert names <= set(EVERY_PARAMETER), "the CLI has a parameter that this test doesn't know"
    requests = two_requests(names, ended_chat(bridge))
    for request in requests:
        result = cli_start(bridge, request)
        assert result.returncode == 0, result.stderr
        answer = json.loads(result.stdout)
        assert {"ContactId", "ParticipantId", "ParticipantToken"} <= set(answer)
        assert ("ContinuedFromContactId" in answer) == ("PersistentChat" in request)
    assert_everything_arrived(bridge, requests)
    assert set().union(*requests) == names | set(MINIMAL)


def test_cli_options(bridge):
    """The same by options, as Connect's documentation writes them."""
    result = cli(
        *("--endpoint-url", bridge.url("")),
        *("--instance-id", INSTANCE_ID),
        *("--contact-flow-id", FLOW_ID),
        *("--participant-details", "DisplayName=Jane"),
        *("--attributes", "page=/cart,tier=gold"),
        *("--initial-message", "ContentType=text/plain,Content=Hi"),
        *("--supported-messaging-content-types", "text/plain", "text/markdown"),
        *("--chat-duration-in-minutes", "10080"),
        *("--query", "ContactId"),
    )
    assert result.returncode == 0, result.stderr
    contact = bridge.control(f"contacts/{json.loads(result.stdout)}")
    assert contact["attributes"] == {"channel": "web", "page": "/cart", "tier": "gold", "customerName": "Jane"}
    assert contact["initial_message"] == ["text/plain", "Hi"]
    assert contact["supported_content_types"] == ["text/plain", "text/markdown"]
    assert contact["duration_minutes"] == 10080


def test_boto3_sends_every_parameter_of_the_model(bridge):
    operation = botocore.session.get_session().get_service_model("connect").operation_model("StartChatContact")
    names = set(operation.input_shape.members)
    assert names == set(EVERY_PARAMETER)
    requests = two_requests(names, ended_chat(bridge))
    answers = [client(bridge).start_chat_contact(**request) for request in requests]
    assert_everything_arrived(bridge, requests)
    returned = set().union(*answers) - {"ResponseMetadata"}
    assert returned == set(operation.output_shape.members), "every member of the answer's model"
    assert all(answer["ResponseMetadata"]["RequestId"] for answer in answers)


def test_boto3_repeats_are_one_chat(bridge):
    """boto3 makes up a ClientToken for a call and keeps it for its own repeats; a caller's own does the same."""
    bridge.control("faults", "POST", {"operation": "StartChatContact", "fault": {"effect": "reset_after"}})
    again = {**MINIMAL, "ClientToken": "a-token-of-mine-of-some-length"}
    contacts = {client(bridge).start_chat_contact(**again)["ContactId"] for _ in range(3)}
    assert len(contacts) == 1
    assert [contact["id"] for contact in bridge.control("contacts")["contacts"]] == list(contacts)


@pytest.mark.parametrize(
    ("change", "error", "status"),
    [
        ({"Attributes": {"not allowed": ""}}, "InvalidRequestException", 400),
        ({"Attributes": {"a": "x" * 20_000, "b": "x" * 20_000}}, "InvalidRequestException", 400),
        ({"ParticipantConfiguration": {"ResponseMode": "NEVER"}}, "InvalidRequestException", 400),
        ({"ChatDurationInMinutes": 60, "RelatedContactId": "x" * 256, "CustomerId": "x"}, None, 200),
        (
            {"PersistentChat": {"RehydrationType": "FROM_SEGMENT", "SourceContactId": "unknown"}},
            "InvalidRequestException",
            400,
        ),
        ({"InstanceId": "55555555-5555-4555-8555-555555555555"}, "AccessDeniedException", 403),
        ({"ContactFlowId": "66666666-6666-4666-8666-666666666666"}, "AccessDeniedException", 403),
        (
            {"ChatStreamingConfiguration": {"StreamingEndpointArn": f"{TOPIC_ARN}-of-a-stranger"}},
            "AccessDeniedException",
            403,
        ),
    ],
)
def test_refusals_are_their_own_exceptions(bridge, change, error, status):
    parameters = {**MINIMAL, **change}
    connect = client(bridge)
    result = cli_start(bridge, parameters)
    if error is None:
        assert result.returncode == 0, result.stderr
        connect.start_chat_contact(**parameters)
        return
    with pytest.raises(getattr(connect.exceptions, error)) as raised:
        connect.start_chat_contact(**parameters)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    # This version of the CLI has a model of its own, which doesn't know that parameter.
    if "ChatStreamingConfiguration" not in change:
        assert result.returncode != 0
        assert f"({error})" in result.stderr
        assert raised.value.response["Error"]["Message"] in result.stderr


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        ({"status": 429, "type": "LimitExceededException"}, 429, "LimitExceededException"),
        ({"status": 429, "type": "TooManyRequestsException"}, 429, "TooManyRequestsException"),
        ({"status": 400, "type": "InvalidParameterException"}, 400, "InvalidRequestException"),
        ({"status": 403, "type": "AccessDeniedException"}, 502, "InternalServiceException"),
        ({"status": 500, "type": "InternalServiceException"}, 503, "InternalServiceException"),
    ],
)
def test_connects_failures_are_their_own_exceptions(bridge, fault, status, error):
    plan = {"operation": "StartChatContact", "fault": {**fault, "times": "forever"}}
    bridge.control("faults", "POST", plan)
    connect = client(bridge)
    # TooManyRequestsException is in no model: boto3 has the general exception for it.
    exception = getattr(connect.exceptions, error, botocore.exceptions.ClientError)
    with pytest.raises(exception) as raised:
        connect.start_chat_contact(**MINIMAL)
    assert raised.value.response["Error"]["Code"] == error
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    result = cli_start(bridge, MINIMAL, AWS_MAX_ATTEMPTS="1")
    assert f"({error})" in result.stderr
    assert bridge.control("contacts")["contacts"] == []


def test_a_session_token_may_be_a_signed_one(signed_bridge):
    """`AWS_SESSION_TOKEN=<JWT>`: AWS clients send it as x-amz-security-token."""
    result = cli_start(signed_bridge, MINIMAL, AWS_SESSION_TOKEN=token(customerId="c-1", attributes={"tier": "gold"}))
    assert result.returncode == 0, result.stderr
    contact = signed_bridge.control(f"contacts/{json.loads(result.stdout)['ContactId']}")
    assert contact["attributes"] == {"channel": "web", "tier": "gold", "HostedWidget-customerName": "Jane"}
    answer = client(signed_bridge, session_token=token()).start_chat_contact(**MINIMAL)
    assert answer["ContactId"]

    for session in ({}, {"AWS_SESSION_TOKEN": "a session of AWS's"}, {"AWS_SESSION_TOKEN": token(exp=int(time.time()) - 60)}):
        result = cli_start(signed_bridge, MINIMAL, **session)
        assert result.returncode != 0
        assert "(NotAuthorized)" in result.stderr
    connect = client(signed_bridge, session_token=token())
    with pytest.raises(connect.exceptions.AccessDeniedException, match="CustomerId"):
        connect.start_chat_contact(**MINIMAL, CustomerId="c-1")
