"""`make doctor` against what `make dev` runs: a good set-up, and each of ten planted mistakes.

Connect's read-only operations, the providers' and the functions' answers are this file's; SQS and DynamoDB are moto's, by
HTTP, as on a laptop.
"""

import json
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import doctor
import pytest
from conftest import ROOT
from moto.server import ThreadedMotoServer

INSTANCE = "44444444-4444-4444-8444-444444444444"
FLOW = "33333333-3333-4333-8333-333333333333"
TOPIC = "arn:aws:sns:us-east-1:123456789012:chat"


@pytest.fixture(autouse=True)
def aws(monkeypatch):
    """Not in this process: over HTTP."""
    for name in [name for name in doctor.os.environ if name.startswith("AWS_") or name in doctor.GIVEN]:
        monkeypatch.delenv(name)


class Laptop(BaseHTTPRequestHandler):
    """The stand-in, its phone and the functions, on one port. `state` says what is wrong."""

    state = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        path, _, query = self.path.partition("?")
        parts = path.strip("/").split("/")
        if parts[0] == "_phone":
            return self.answer(*self.provider(parts[1], "/".join(parts[2:])))
        if parts[0] == "instance" and parts[1] != INSTANCE:
            return self.refuse("ResourceNotFoundException")
        if parts[0] == "instance" and len(parts) == 2:
            return self.answer(200, {"Instance": {"Id": INSTANCE, "InstanceStatus": "ACTIVE"}})
        if parts[0] == "instance":
            kind = urllib.parse.parse_qs(query)["resourceType"][0]
            there = kind not in self.state["without_storage"]
            return self.answer(200, {"StorageConfigs": [{"StorageType": "S3"}] if there else []})
        if parts[0] == "contact-flows":
            if parts[2] != FLOW:
                return self.refuse("ResourceNotFoundException")
            flow = {"Id": FLOW, "Type": "CONTACT_FLOW", "State": "ACTIVE", "Status": "PUBLISHED"} | self.state["flow"]
            return self.answer(200, {"ContactFlow": flow})
        return self.answer(404, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if "GetTopicAttributes" in body:
            if urllib.parse.parse_qs(body)["TopicArn"][0] != TOPIC:
                text = "<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code></Error></ErrorResponse>"
                return self.send(404, text, "text/xml")
            text = "<GetTopicAttributesResponse><GetTopicAttributesResult><Attributes/></GetTopicAttributesResult></GetTopicAttributesResponse>"
            return self.send(200, text, "text/xml")
        if self.path == "/chat":
            return self.answer(400, {"success": False, "error": {"code": "VALIDATION_ERROR"}})
        return self.answer(404 if self.path in self.state["unrouted"] else 403, {"message": "Forbidden"})

    def provider(self, account, path):
        if account == self.state["refused"]:
            return 401, {"message": "Unauthorized"}
        if path.endswith("IncomingPhoneNumbers.json"):
            url = self.state["webhook"] or f"http://localhost:{self.server.server_address[1]}/sms/{account}"
            return 200, {"incoming_phone_numbers": [{"phone_number": "+12025550100", "sms_url": url}]}
        return 200, {}

    def refuse(self, code):
        self.send(404, json.dumps({"Message": "not found"}), "application/json", {"x-amzn-ErrorType": code})

    def answer(self, status, value):
        self.send(status, json.dumps(value), "application/json")

    def send(self, status, text, kind, headers=None):
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(text)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture(scope="module")
def moto():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def laptop(moto):
    Laptop.state = {"flow": {}, "without_storage": [], "unrouted": [], "refused": None, "webhook": None}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Laptop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = str(server.server_port)
    given = {"LOCAL_PORT": port, "FUNCTIONS_PORT": port, "MOTO_PORT": str(moto)}
    yield Running(Laptop.state, given)
    server.shutdown()


class Running:
    """`make dev` as it runs: its state, and what it was given."""

    def __init__(self, state, given):
        self.state = state
        self.given = given
        self.settings = json.loads((ROOT / "local" / "settings.json").read_text())
        self.dev = doctor.Dev(given)
        sqs, dynamodb = self.dev.client("sqs"), self.dev.client("dynamodb")
        self.sqs, self.dynamodb = sqs, dynamodb
        for url in self.urls():
            fifo = {"FifoQueue": "true"} if url.endswith(".fifo") else {}
            name = url.rpartition("/")[2]
            if any(made.endswith(f"/{name}") for made in sqs.list_queues().get("QueueUrls", [])):
                sqs.delete_queue(QueueUrl=url)
            sqs.create_queue(QueueName=name, Attributes=fifo)
        if "conversations" not in dynamodb.list_tables()["TableNames"]:
            dynamodb.create_table(
                TableName="conversations",
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )

    def urls(self):
        return {
            url for of in self.dev.variables.values() for name, url in of.items() if name.endswith("QUEUE_URL")
        }

    def account(self, provider):
        return next(one for one in self.settings["accounts"] if one["provider"] == provider)

    def findings(self):
        found = doctor.Doctor(doctor.Dev(self.given | {"BRIDGE_SETTINGS": json.dumps(self.settings)}))
        found.run()
        return found


def test_a_good_set_up_has_no_finding(laptop):
    found = laptop.findings()
    assert found.findings == []
    # What a laptop hasn't, and the accounts that no read-only call exists for.
    assert [reason.partition(":")[0] for reason in found.unchecked] == ["provider_credentials", "quotas", "alarm_topics"]


def archived(laptop):
    laptop.state["flow"] = {"State": "ARCHIVED"}


def unpublished(laptop):
    laptop.state["flow"] = {"Status": "SAVED"}


def another_instance(laptop):
    laptop.given["CONNECT_INSTANCE_ID"] = "55555555-5555-4555-8555-555555555555"


def another_flow_of_a_number(laptop):
    laptop.account("twilio")["numbers"] = {"+12025550100": {"contact_flow_id": "66666666-6666-4666-8666-666666666666"}}


def chat_is_off(laptop):
    laptop.state["without_storage"] = ["CHAT_TRANSCRIPTS"]


def attachments_are_off(laptop):
    laptop.given["FEATURE_ATTACHMENTS"] = "true"
    laptop.state["without_storage"] = ["ATTACHMENTS"]


def no_topic(laptop):
    laptop.given["STREAMING_TOPIC_ARN"] = TOPIC + "s"


def misspelt(laptop):
    laptop.account("telnyx")["api_keys"] = "KEY"


def no_secret(laptop):
    del laptop.account("meta")["app_secrets"]


def unknown_provider(laptop):
    laptop.settings["accounts"].append({"provider": "twillio"})


def wrong_credentials(laptop):
    laptop.state["refused"] = "signalwire"


def webhook_elsewhere(laptop):
    laptop.state["webhook"] = "https://old.example/sms/twilio"


def no_table(laptop):
    laptop.given["CONVERSATIONS_TABLE"] = "conversation"


def no_queue(laptop):
    laptop.given["INBOUND_QUEUE_URL"] = "https://sqs.us-east-1.amazonaws.com/123456789012/inbox.fifo"


def standard_queue(laptop):
    laptop.sqs.create_queue(QueueName="inbound")
    laptop.given["INBOUND_QUEUE_URL"] = "https://sqs.us-east-1.amazonaws.com/123456789012/inbound"


def a_dead_letter(laptop):
    (url,) = {url for url in laptop.urls() if url.endswith("inbound-dead-letters.fifo")}
    laptop.sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="x", MessageDeduplicationId="x")


def slash_at_the_end(laptop):
    laptop.given["ALLOWED_ORIGINS"] = "https://shop.example/"


def not_mapped(laptop):
    laptop.state["unrouted"] = ["/sms/twilio"]


def nothing_runs(laptop):
    laptop.given["PUBLIC_BASE_URL"] = f"http://localhost:{laptop.given['FUNCTIONS_PORT']}"
    laptop.given["FUNCTIONS_PORT"] = "1"


MISTAKES = {
    another_instance: "There is no Connect instance 5",
    archived: "is archived",
    unpublished: "is not published",
    another_flow_of_a_number: "The instance has no flow 6",
    chat_is_off: "no storage for chat transcripts",
    attachments_are_off: "Attachments are on here, and off in the instance",
    no_topic: "There is no topic",
    misspelt: r"accounts\[2\] \(telnyx\): unknown names: api_keys",
    no_secret: "no app_secrets: no webhook can be verified",
    unknown_provider: "no such provider",
    wrong_credentials: "signalwire: the provider refuses the account's credentials",
    webhook_elsewhere: r"no number's webhook is http://localhost:\d+/sms/twilio",
    no_table: "There is no table conversation$",
    no_queue: "INBOUND_QUEUE_URL: there is no queue inbox.fifo",
    standard_queue: "INBOUND_QUEUE_URL is no FIFO queue",
    a_dead_letter: "1 dead letters in inbound-dead-letters.fifo",
    slash_at_the_end: "'https://shop.example/' is no origin",
    not_mapped: "POST /sms/twilio is answered 404",
    nothing_runs: "Nothing answers at http://localhost:1",
}


@pytest.mark.parametrize("plant", MISTAKES, ids=lambda plant: plant.__name__)
def test_a_planted_mistake_is_found_with_its_fix(laptop, plant):
    plant(laptop)
    found = laptop.findings().findings
    assert found and all(re.search(MISTAKES[plant], what) or plant is webhook_elsewhere for what, _ in found), found
    assert all(fix for _, fix in found)


def test_nothing_secret_is_printed(laptop, capsys, monkeypatch):
    laptop.account("twilio")["api_secret"] = "hush"
    for name, value in (laptop.given | {"BRIDGE_SETTINGS": json.dumps(laptop.settings)}).items():
        monkeypatch.setenv(name, value)
    assert doctor.main([]) == 1
    said = capsys.readouterr().out
    assert "unknown names: api_secret" in said and "hush" not in said
    for account in laptop.settings["accounts"]:
        for secret in account.get("auth_tokens", []) + account.get("app_secrets", []) + [account.get("api_token", "x" * 9)]:
            assert secret not in said


def test_settings_that_are_no_json(laptop):
    found = doctor.Doctor(doctor.Dev(laptop.given | {"BRIDGE_SETTINGS": '{"accounts": [\n{,}]}'})).run()
    assert found[0][0] == "The settings are no JSON at line 2, column 2"


def test_a_stand_in_that_lacks_an_operation_is_no_finding(laptop, monkeypatch):
    monkeypatch.setattr(Laptop, "do_GET", lambda self: self.refuse("UnknownOperationException"))
    found = laptop.findings()
    assert found.findings == []
    assert any(reason.startswith("amazon_connect: DescribeInstance") for reason in found.unchecked)


# ---- A deployed stack ------------------------------------------------------------------------------------------------


class Deployed:
    """A stack's topics and parameters in moto, as `doctor.Deployed` has them."""

    is_dev = False
    url = "http://localhost:1"
    variables = {}
    settings = None

    def __init__(self, port, parameters):
        self.port = port
        self.parameters = parameters

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )


def test_alarm_topics(moto):
    bridge = Deployed(moto, {})
    sns = bridge.client("sns")
    good = sns.create_topic(Name="pages")["TopicArn"]
    queue = bridge.client("sqs").create_queue(QueueName="reader")["QueueUrl"]
    arn = bridge.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=good, Protocol="sqs", Endpoint=arn)
    locked = sns.create_topic(Name="locked", Attributes={"KmsMasterKeyId": "alias/aws/sns"})["TopicArn"]
    for parameters, expected in [
        ({"PageTopicArn": good}, []),
        ({}, ["Alarms reach nobody"]),
        ({"PageTopicArn": good + "x"}, ["PageTopicArn: there is no such topic"]),
        (
            {"PageTopicArn": good, "TicketTopicArn": locked},
            ["TicketTopicArn is encrypted with SNS's own key", "TicketTopicArn has no confirmed subscription"],
        ),
    ]:
        bridge.parameters = parameters
        found = doctor.Doctor(bridge)
        doctor.alarm_topics(found)
        assert [what for what, _ in found.findings] == expected
