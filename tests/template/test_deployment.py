"""The template's table, queues and topic, made from it; and a web chat and a text all the way through them."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from deployment import Deployment, Recorder, StandIn
from expand import BOTH, EVERYTHING, INSTANCE_ARN, MESSAGES_ONLY, ROOT, SIGNED, WIDGET_ONLY, expand, source

EXPANDED = expand(source())
TOKEN = "12345678901234567890123456789012"
CUSTOMER, BUSINESS = "+14155550123", "+12025550100"
ORIGIN = "https://shop.example"
# A widget's signing key: of fewer than 32 bytes it is an error.
KEY = "a key of no less than thirty-two bytes"


@pytest.fixture(scope="module")
def connect():
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def provider():
    with Recorder(201, {"sid": "SM00000000000000000000000000000001", "status": "queued"}) as recorder:
        yield recorder


def deployed(connect, parameters, settings=None):
    endpoints = {f"AWS_ENDPOINT_URL_{service}": connect.url for service in ("CONNECT", "CONNECTPARTICIPANT")}
    return Deployment(EXPANDED, parameters, endpoints, settings)


@pytest.fixture(scope="module")
def bridge(connect, provider):
    account = {
        "provider": "twilio",
        "account_sid": "AC00000000000000000000000000000001",
        "auth_tokens": [TOKEN],
        "send_base_url": provider.url,
    }
    with deployed(connect, BOTH, {"accounts": [account]}) as deployment:
        yield deployment


def request(url, body=None, headers=None, method="POST"):
    asked = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        answer = urllib.request.urlopen(asked, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, dict(answer.headers), answer.read().decode()


def text(bridge, number, words):
    """A signed webhook of Twilio's, and the answer's status."""
    parameters = {"MessageSid": f"SM{number:032}", "From": CUSTOMER, "To": BUSINESS, "Body": words}
    signed = "https://api.execute-api.us-east-1.amazonaws.com/sms/twilio"
    signed += "".join(name + parameters[name] for name in sorted(parameters))
    signature = base64.b64encode(hmac.new(TOKEN.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    return request(f"{bridge.url}/sms/twilio", urllib.parse.urlencode(parameters).encode(), headers)[0]


def texted_chat(connect):
    for contact in connect.control("contacts")["contacts"]:
        if contact["attributes"].get("customerAddress") == CUSTOMER:
            return connect.control(f"contacts/{contact['id']}")
    return None


def said(connect):
    chat = texted_chat(connect)
    return [item["content"] for item in chat["transcript"] if item["content"]] if chat else []


def agent_says(bridge, connect, content, number):
    """What Connect streams of an agent's words to the template's topic (administrator guide, "SNS payload")."""
    contact = texted_chat(connect)["id"]
    item = {
        "AbsoluteTime": f"2026-11-21T10:00:{number:02}.000Z",
        "Content": content,
        "ContentType": "text/plain",
        "Id": f"00000000-0000-4000-8000-{number:012}",
        "Type": "MESSAGE",
        "ParticipantId": "agent",
        "DisplayName": "Ana",
        "ParticipantRole": "AGENT",
        "InitialContactId": contact,
        "ContactId": contact,
    }
    attributes = {
        "InitialContactId": contact,
        "ContactId": contact,
        "MessageVisibility": "ALL",
        "Type": "MESSAGE",
        "AccountId": "123456789012",
        "ContentType": "text/plain",
        "InstanceId": INSTANCE_ARN.rsplit("/", 1)[1],
        "ParticipantRole": "AGENT",
    }
    bridge.client("sns").publish(
        TopicArn=bridge.physical["StreamingTopic"]["Ref"],
        Message=json.dumps(item),
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    )


def test_table_queues_and_topic_are_as_the_template_says(bridge):
    table = bridge.client("dynamodb").describe_table(TableName=bridge.physical["Conversations"]["Ref"])["Table"]
    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    expiry = bridge.client("dynamodb").describe_time_to_live(TableName=table["TableName"])["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    backups = bridge.client("dynamodb").describe_continuous_backups(TableName=table["TableName"])
    backups = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert backups["PointInTimeRecoveryStatus"] == "ENABLED"
    sqs = bridge.client("sqs")
    for queue, is_fifo in [("Inbound", True), ("Outbound", True), ("Reply", False)]:
        of = {
            name: sqs.get_queue_attributes(QueueUrl=bridge.physical[name]["Ref"], AttributeNames=["All"])["Attributes"]
            for name in (f"{queue}Queue", f"{queue}DeadLetters")
        }
        work, dead = of.values()
        assert (work["VisibilityTimeout"], work["MessageRetentionPeriod"]) == ("180", "1209600")
        assert dead["MessageRetentionPeriod"] == "1209600"
        redrive = json.loads(work["RedrivePolicy"])
        assert (redrive["deadLetterTargetArn"], int(redrive["maxReceiveCount"])) == (dead["QueueArn"], 1000)
        assert work.get("DeduplicationScope") == ("messageGroup" if is_fifo else None)
        assert work.get("FifoThroughputLimit") == ("perMessageGroupId" if is_fifo else None)
        assert work.get("FifoQueue", "false") == dead.get("FifoQueue", "false") == str(is_fifo).lower()
    topic = bridge.physical["StreamingTopic"]["Ref"]
    (subscription,) = bridge.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("sqs", bridge.physical["ReplyQueue"]["Arn"])


def test_a_text_reaches_an_agent_and_the_answer_the_phone(bridge, connect, provider):
    for number, words in [(1, "Hello"), (2, "are you there?"), (2, "are you there?"), (3, "please")]:
        assert text(bridge, number, words) == 200
    expected = ["Hello", "are you there?", "please"]
    bridge.poll_until(lambda: said(connect) == expected)
    start = next(call for call in connect.control("calls")["calls"] if call["operation"] == "StartChatContact")
    streaming = start["body"]["ChatStreamingConfiguration"]["StreamingEndpointArn"]
    assert streaming == bridge.physical["StreamingTopic"]["Ref"]

    agent_says(bridge, connect, "How can I help?", 1)
    bridge.poll_until(lambda: provider.requests)
    while bridge.poll():
        pass
    ((path, headers, body),) = provider.requests
    assert path == "/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json"
    sent = dict(urllib.parse.parse_qsl(body))
    assert (sent["To"], sent["From"], sent["Body"]) == (CUSTOMER, BUSINESS, "How can I help?")
    assert said(connect) == expected, "nothing came twice"


def test_what_can_never_be_delivered_is_dead_lettered(bridge):
    sqs = bridge.client("sqs")
    url = bridge.physical["InboundQueue"]["Ref"]
    sqs.send_message(QueueUrl=url, MessageBody="{}", MessageGroupId="x", MessageDeduplicationId="x")
    sqs.send_message(QueueUrl=bridge.physical["ReplyQueue"]["Ref"], MessageBody="no item of a chat")
    while bridge.poll():
        pass
    for name in ("InboundDeadLetters", "ReplyDeadLetters"):
        asked = {"QueueUrl": bridge.physical[name]["Ref"], "MessageAttributeNames": ["All"]}
        (message,) = sqs.receive_message(**asked)["Messages"]
        assert message["MessageAttributes"]["reason"]["StringValue"] == "malformed", name


def test_a_widget_starts_a_chat(bridge):
    body = b'{"ParticipantDetails":{"DisplayName":"Jo"}}'
    for path in ("/chat", "/", "/Prod/", "/livechat/start"):
        status, headers, answer = request(bridge.url + path, body, {"Origin": ORIGIN})
        assert status == 200 and json.loads(answer)["data"]["startChatResult"]["ContactId"], answer
        assert headers["Access-Control-Allow-Origin"] == ORIGIN
    status, headers, _ = request(f"{bridge.url}/chat", None, {"Origin": ORIGIN}, "OPTIONS")
    assert status == 204 and headers["Access-Control-Allow-Headers"] == "*,authorization"


def test_a_webhook_is_never_taken_for_a_widget(bridge):
    for path, status in [("/sms/twilio/", 403), ("/sms/twilio/us/more", 404), ("/sms/nobody", 404)]:
        assert request(bridge.url + path, b"{}", {"Content-Type": "application/json"})[0] == status, path


def test_each_half_stands_alone(connect):
    with deployed(connect, WIDGET_ONLY) as widget:
        assert set(widget.functions) == {"StartChat"} and not widget.physical
        assert request(f"{widget.url}/chat", b"{}")[0] == 200
    with deployed(connect, MESSAGES_ONLY, {"accounts": [{"provider": "twilio", "auth_tokens": [TOKEN]}]}) as messages:
        assert set(messages.functions) == {"ReceiveMessage", "DeliverMessage", "ReceiveReply", "SendReply"}
        assert request(f"{messages.url}/chat", b"{}")[0] == 404
        assert text(messages, 1, "Hello") == 200


def test_a_wildcard_origin_is_the_functions_to_answer(connect):
    with deployed(connect, WIDGET_ONLY | {"AllowedOrigins": "https://*.shop.example"}) as widget:
        for path in ("/chat", "/"):
            origin = {"Origin": "https://eu.shop.example"}
            status, headers, _ = request(widget.url + path, None, origin, "OPTIONS")
            assert status == 204 and headers["Access-Control-Allow-Origin"] == "https://eu.shop.example"
        assert request(f"{widget.url}/chat", b"{}", {"Origin": ORIGIN})[0] == 403


def test_everything_on_starts(connect):
    parameters = EVERYTHING | {"KmsKeyArn": "", "WidgetSecretArn": ""}
    settings = {"widget": {"signing_keys": [KEY]}, "accounts": [{"provider": "twilio", "auth_tokens": [TOKEN]}]}
    topic = parameters["EndUserMessagingTopicArn"]
    with deployed_with_topic(connect, parameters, settings, topic) as bridge:
        assert request(f"{bridge.url}/chat", b"{}", {"Origin": ORIGIN})[0] == 401
        assert request(f"{bridge.url}/sms/twilio", b"")[0] == 403
        assert bridge.poll() == 0


def deployed_with_topic(connect, parameters, settings, topic):
    """With a topic that exists before the stack does."""

    class WithTopic(Deployment):
        def _create(self, stack):
            self.client("sns").create_topic(Name=topic.rsplit(":", 1)[1])
            return super()._create(stack)

    endpoints = {f"AWS_ENDPOINT_URL_{service}": connect.url for service in ("CONNECT", "CONNECTPARTICIPANT")}
    return WithTopic(EXPANDED, parameters, endpoints, settings)


# ---- make smoke ------------------------------------------------------------------------------------------------------


def smoke(connect, url, *options):
    command = [sys.executable, ROOT / "tests" / "smoke.py", url, *options]
    environment = os.environ | {"PARTICIPANT_URL": connect.url}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def ended_chats(connect):
    return sum(contact["ended"] for contact in connect.control("contacts")["contacts"])


def test_smoke_passes(bridge, connect):
    before = ended_chats(connect)
    result = smoke(connect, bridge.url, "--origin", ORIGIN, "--other-origin", "https://elsewhere.example")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "FAILED" not in result.stdout and "chat started" in result.stdout
    assert ended_chats(connect) == before + 1, "it leaves nothing behind"


def test_smoke_passes_for_each_half(connect):
    with deployed(connect, WIDGET_ONLY) as widget:
        result = smoke(connect, widget.url, "--only", "widget", "--origin", ORIGIN)
        assert result.returncode == 0, result.stdout + result.stderr
    with deployed(connect, MESSAGES_ONLY, {"accounts": [{"provider": "twilio", "auth_tokens": [TOKEN]}]}) as messages:
        result = smoke(connect, messages.url, "--only", "messages", "--provider", "twilio")
        assert result.returncode == 0, result.stdout + result.stderr
        # A half that is not there.
        result = smoke(connect, messages.url, "--only", "widget")
        assert result.returncode == 1 and "FAILED" in result.stdout


def test_smoke_takes_a_token(connect):
    settings = {"widget": {"signing_keys": [KEY]}}
    with deployed(connect, SIGNED, settings) as widget:
        result = smoke(connect, widget.url, "--only", "widget", "--origin", ORIGIN)
        assert result.returncode == 1 and "UNAUTHENTICATED" in result.stdout
        now = int(time.time())
        part = [{"alg": "HS256", "typ": "JWT"}, {"iat": now, "exp": now + 300}]
        part = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in part]
        signature = hmac.new(KEY.encode(), b".".join(part), hashlib.sha256).digest()
        token = b".".join([*part, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()
        result = smoke(connect, widget.url, "--only", "widget", "--origin", ORIGIN, "--token", token)
        assert result.returncode == 0, result.stdout + result.stderr


def test_smoke_fails_where_the_bridge_is_not(connect):
    for url in (connect.url, "http://127.0.0.1:1"):
        result = smoke(connect, url, "--origin", ORIGIN)
        assert result.returncode == 1 and "FAILED" in result.stdout
        assert "Traceback" not in result.stderr
    result = smoke(connect, "not a url")
    assert result.returncode == 2


def test_smoke_fails_where_an_origin_is_not_allowed(bridge, connect):
    result = smoke(connect, bridge.url, "--origin", "https://elsewhere.example")
    assert result.returncode == 1 and "ORIGIN_NOT_ALLOWED" in result.stdout
