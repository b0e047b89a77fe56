"""The Connect stand-in, met by clients that we did not write: the AWS CLI, boto3 and amazon-connect-chatjs.

Every request goes to 127.0.0.1. LOCAL_BIN names the stand-in's binary (default: target/debug/local).
"""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import boto3
import botocore.config
import botocore.session
import pytest

HERE = Path(__file__).parent
LOCAL_BIN = os.environ.get("LOCAL_BIN", str(HERE.parents[1] / "target" / "debug" / "local"))
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
TYPING = "application/vnd.amazonaws.connect.event.typing"


class StandIn:
    """A running stand-in and its control API."""

    def __init__(self):
        self.process = subprocess.Popen([LOCAL_BIN, "--port", "0"], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1]

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_local/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def calls(self, operation):
        calls = self.control("GET", "calls")["calls"]
        return [call for call in calls if call["operation"] == operation]

    def fail(self, operation, **fault):
        self.control("POST", "faults", {"operation": operation, "fault": fault})

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=10)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def running():
    stand_in = StandIn()
    yield stand_in
    stand_in.stop()


@pytest.fixture
def stand_in(running):
    running.control("POST", "reset")
    return running


@pytest.fixture(autouse=True)
def aws_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in AWS_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def client(stand_in, service, attempts=1):
    config = botocore.config.Config(retries={"mode": "standard", "total_max_attempts": attempts})
    return boto3.client(service, endpoint_url=stand_in.url, config=config)


def start_chat(stand_in, **parameters):
    return client(stand_in, "connect").start_chat_contact(
        InstanceId=INSTANCE_ID, ContactFlowId=FLOW_ID, ParticipantDetails={"DisplayName": "Jane"}, **parameters
    )


# The AWS CLI.


def cli(*arguments, **environment):
    aws = Path(sys.executable).with_name("aws")
    return subprocess.run(
        [sys.executable, str(aws), "connect", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def cli_start_chat(stand_in, parameters, **environment):
    return cli(
        "start-chat-contact",
        "--endpoint-url",
        stand_in.url,
        "--cli-input-json",
        json.dumps(parameters),
        **environment,
    )


# What every parameter of start-chat-contact may hold.
EVERY_PARAMETER = {
    "InstanceId": INSTANCE_ID,
    "ContactFlowId": FLOW_ID,
    "Attributes": {"page": "/cart", "customer-tier_1": "gold"},
    "ParticipantDetails": {"DisplayName": "Jane"},
    "ParticipantConfiguration": {"ResponseMode": "COMPLETE"},
    "InitialMessage": {"ContentType": "text/plain", "Content": "Grüße"},
    "ClientToken": "a-token-of-mine",
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


def two_requests(names, source):
    """All these parameters, in two requests: a persistent chat and a related one exclude each other."""
    every = {name: EVERY_PARAMETER[name] for name in names}
    every["PersistentChat"] = {**EVERY_PARAMETER["PersistentChat"], "SourceContactId": source}
    return [
        {name: value for name, value in every.items() if name != "RelatedContactId"},
        {name: value for name, value in every.items() if name not in ("PersistentChat", "ClientToken")},
    ]


def ended_chat(stand_in):
    contact_id = start_chat(stand_in)["ContactId"]
    stand_in.control("POST", f"contacts/{contact_id}/end")
    stand_in.control("DELETE", "calls")
    return contact_id


def without_generated_token(body, request):
    return body if "ClientToken" in request else {name: body[name] for name in body if name != "ClientToken"}


def test_cli_sends_every_parameter_of_its_help(stand_in):
    skeleton = cli("start-chat-contact", "--generate-cli-skeleton")
    names = set(json.loads(skeleton.stdout))
    assert names <= set(EVERY_PARAMETER), "the CLI has a parameter that this test doesn't know"
    requests = two_requests(names, ended_chat(stand_in))
    for request in requests:
        result = cli_start_chat(stand_in, request)
        assert result.returncode == 0, result.stderr
        answer = json.loads(result.stdout)
        assert {"ContactId", "ParticipantId", "ParticipantToken"} <= set(answer)
        assert ("ContinuedFromContactId" in answer) == ("PersistentChat" in request)
    calls = stand_in.calls("StartChatContact")
    bodies = [without_generated_token(call["body"], request) for call, request in zip(calls, requests, strict=True)]
    assert bodies == requests
    assert set().union(*bodies) == names
    assert [(call["method"], call["path"], call["status"]) for call in calls] == [("PUT", "/contact/chat", 200)] * 2


def test_cli_options(stand_in):
    """The same by options, as people write them."""
    result = cli(
        "start-chat-contact",
        *("--endpoint-url", stand_in.url),
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
    contact = stand_in.control("GET", f"contacts/{json.loads(result.stdout)}")
    assert contact["attributes"] == {"page": "/cart", "tier": "gold"}
    assert contact["initial_message"] == ["text/plain", "Hi"]
    assert contact["supported_content_types"] == ["text/plain", "text/markdown"]
    assert contact["duration_minutes"] == 10080


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"Attributes": {"not allowed": ""}}, "InvalidParameterException"),
        ({"Attributes": {"a": "x" * 20_000, "b": "x" * 20_000}}, "InvalidParameterException"),
        ({"SupportedMessagingContentTypes": ["text/markdown"]}, "InvalidParameterException"),
        ({"ParticipantConfiguration": {"ResponseMode": "NEVER"}}, "InvalidParameterException"),
        (
            {
                "PersistentChat": {"RehydrationType": "FROM_SEGMENT", "SourceContactId": "unknown"},
            },
            "InvalidRequestException",
        ),
    ],
)
def test_cli_fails_on_bad_input(stand_in, change, error):
    result = cli_start_chat(
        stand_in,
        {
            "InstanceId": INSTANCE_ID,
            "ContactFlowId": FLOW_ID,
            "ParticipantDetails": {"DisplayName": "Jane"},
            **change,
        },
    )
    assert result.returncode != 0
    assert f"({error})" in result.stderr
    assert next(iter(change)) in result.stderr, "the message names the parameter"


def test_cli_fails_on_an_exhausted_quota(stand_in):
    stand_in.fail("StartChatContact", status=429, type="LimitExceededException", times="forever")
    parameters = {name: EVERY_PARAMETER[name] for name in ("InstanceId", "ContactFlowId", "ParticipantDetails")}
    result = cli_start_chat(stand_in, parameters, AWS_MAX_ATTEMPTS="1")
    stand_in.control("DELETE", "faults")
    assert result.returncode != 0
    assert "(LimitExceededException)" in result.stderr
    assert stand_in.control("GET", "contacts")["contacts"] == []


# boto3.


def test_boto3_sends_every_parameter_of_the_model(stand_in):
    operation = botocore.session.get_session().get_service_model("connect").operation_model("StartChatContact")
    names = set(operation.input_shape.members)
    assert names == set(EVERY_PARAMETER)
    requests = two_requests(names, ended_chat(stand_in))
    answers = [client(stand_in, "connect").start_chat_contact(**request) for request in requests]
    calls = stand_in.calls("StartChatContact")
    bodies = [without_generated_token(call["body"], request) for call, request in zip(calls, requests, strict=True)]
    assert bodies == requests
    returned = set().union(*answers) - {"ResponseMetadata"}
    assert returned == set(operation.output_shape.members), "every member of the answer's model"


def test_boto3_round_trip(stand_in):
    chat = start_chat(
        stand_in,
        InitialMessage={"ContentType": "text/plain", "Content": "first"},
        ChatStreamingConfiguration={"StreamingEndpointArn": TOPIC_ARN},
    )
    participant = client(stand_in, "connectparticipant")
    connection = participant.create_participant_connection(
        ParticipantToken=chat["ParticipantToken"], Type=["CONNECTION_CREDENTIALS"], ConnectParticipant=True
    )
    token = connection["ConnectionCredentials"]["ConnectionToken"]
    message = {"ConnectionToken": token, "ContentType": "text/plain", "Content": "Hi", "ClientToken": "one"}
    sent = participant.send_message(**message)
    again = participant.send_message(**message)
    assert (sent["Id"], sent["AbsoluteTime"]) == (again["Id"], again["AbsoluteTime"])
    participant.send_event(ConnectionToken=token, ContentType=TYPING)
    stand_in.control("POST", f"contacts/{chat['ContactId']}/say", {"content": "Hello"})

    items, page = [], {}
    while True:
        answer = participant.get_transcript(ConnectionToken=token, MaxResults=2, **page)
        items += answer["Transcript"]
        if "NextToken" not in answer:
            break
        page = {"NextToken": answer["NextToken"]}
    messages = [(item["ParticipantRole"], item["Content"]) for item in items if item["Type"] == "MESSAGE"]
    assert messages == [("AGENT", "Hello"), ("CUSTOMER", "Hi"), ("CUSTOMER", "first")]
    assert answer["InitialContactId"] == chat["ContactId"]

    participant.disconnect_participant(ConnectionToken=token)
    with pytest.raises(participant.exceptions.AccessDeniedException):
        participant.send_message(ConnectionToken=token, ContentType="text/plain", Content="late")


def test_boto3_streaming_and_stopping(stand_in):
    connect = client(stand_in, "connect")
    contact = {"InstanceId": INSTANCE_ID, "ContactId": start_chat(stand_in)["ContactId"]}
    topic = {"ChatStreamingConfiguration": {"StreamingEndpointArn": TOPIC_ARN}}
    first = connect.start_contact_streaming(**contact, **topic)
    connect.start_contact_streaming(**contact, **topic)
    with pytest.raises(connect.exceptions.LimitExceededException):
        connect.start_contact_streaming(**contact, **topic)
    connect.stop_contact_streaming(**contact, StreamingId=first["StreamingId"])
    connect.stop_contact(**contact, DisconnectReason={"Code": "DISCARDED"})
    with pytest.raises(connect.exceptions.ContactNotFoundException):
        connect.stop_contact(**contact)


def test_boto3_integration_event(stand_in):
    connect = client(stand_in, "connect")
    request = {
        "SourceId": "+12025550123",
        "DestinationId": "arn:aws:sms-voice:us-east-1:123456789012:phone-number/phone-1",
        "Subtype": "connect:sms",
        "Event": {"Type": "MESSAGE", "ContentType": "text/plain", "Content": "Hi"},
        "NewSessionDetails": {
            "Attributes": {"channel": "sms"},
            "ParticipantDetails": {"DisplayName": "Jane"},
            "SupportedMessagingContentTypes": ["text/plain"],
            "StreamingConfiguration": {"StreamingEndpointArn": TOPIC_ARN},
        },
    }
    answers = [connect.send_chat_integration_event(**request) for _ in range(2)]
    assert [answer["NewChatCreated"] for answer in answers] == [True, False]
    assert answers[0]["InitialContactId"] == answers[1]["InitialContactId"]
    assert [call["body"] for call in stand_in.calls("SendChatIntegrationEvent")] == [request] * 2


@pytest.mark.parametrize(
    ("service", "operation", "status", "exception"),
    [
        ("connect", "StartChatContact", 400, "InvalidRequestException"),
        ("connect", "StartChatContact", 400, "InvalidParameterException"),
        ("connect", "StartChatContact", 404, "ResourceNotFoundException"),
        ("connect", "StartChatContact", 429, "LimitExceededException"),
        ("connect", "StartChatContact", 500, "InternalServiceException"),
        ("connectparticipant", "SendMessage", 400, "ValidationException"),
        ("connectparticipant", "SendMessage", 403, "AccessDeniedException"),
        ("connectparticipant", "SendMessage", 429, "ThrottlingException"),
        ("connectparticipant", "SendMessage", 500, "InternalServerException"),
    ],
)
def test_boto3_raises_modelled_exceptions(stand_in, service, operation, status, exception):
    api = client(stand_in, service)
    stand_in.fail(operation, status=status, type=exception, message="what went wrong")
    with pytest.raises(getattr(api.exceptions, exception)) as raised:
        if service == "connect":
            start_chat(stand_in)
        else:
            api.send_message(ConnectionToken="token", ContentType="text/plain", Content="Hi")
    assert raised.value.response["Error"]["Message"] == "what went wrong"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_boto3_retries_a_reset_with_the_same_token(stand_in):
    """The effect happened, the answer was lost: the SDK's repeat must not start a second chat."""
    stand_in.fail("StartChatContact", effect="reset_after")
    answer = client(stand_in, "connect", attempts=2).start_chat_contact(
        InstanceId=INSTANCE_ID, ContactFlowId=FLOW_ID, ParticipantDetails={"DisplayName": "Jane"}
    )
    first, second = stand_in.calls("StartChatContact")
    assert (first["status"], second["status"]) == (None, 200)
    assert first["body"]["ClientToken"] == second["body"]["ClientToken"]
    (contact,) = stand_in.control("GET", "contacts")["contacts"]
    assert contact["id"] == answer["ContactId"]


# amazon-connect-chatjs.


@pytest.mark.skipif(not (HERE / "node_modules").is_dir(), reason="npm ci has not been run here")
def test_chatjs():
    result = subprocess.run(
        [shutil.which("npm"), "test"],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "LOCAL_BIN": LOCAL_BIN},
    )
    assert result.returncode == 0, result.stdout + result.stderr


# The binary itself.


def test_a_port_in_use_is_one_line(running):
    port = running.url.rsplit(":", 1)[1]
    result = subprocess.run([LOCAL_BIN, "--port", port], capture_output=True, text=True, timeout=10)
    assert result.returncode == 1
    assert result.stderr == f"local: port {port} is in use; choose another with LOCAL_PORT\n"
