"""`make doctor` against `make dev` as it runs: a good set-up, and each planted mistake; then what only a deployed stack has.

A mistake is planted where it would be made: in what `make dev` was started with, in what it keeps in moto, at Connect, at a
provider, in the settings, or in Cargo.toml, which is where the ids of a laptop stand.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import boto3
import doctor
import pytest
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "clients"))
from bridge import running  # noqa: E402

FLOW = "33333333-3333-4333-8333-333333333333"
OTHER = "66666666-6666-4666-8666-666666666666"


@pytest.fixture(autouse=True)
def aws(monkeypatch):
    """Not in this process: over HTTP."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name in doctor.GIVEN]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    with running(tmp_path_factory.mktemp("dev")) as bridge:
        bridge.warm()
        yield bridge


class Laptop:
    """`make dev`, and what its doctor is told beside."""

    def __init__(self, bridge):
        self.bridge = bridge
        ports = {"LOCAL_PORT": bridge.local, "FUNCTIONS_PORT": bridge.functions, "MOTO_PORT": bridge.moto}
        self.given = {name: str(port) for name, port in ports.items()}
        self.settings = json.loads((ROOT / "local" / "settings.json").read_text().replace("9100", str(bridge.local)))
        self.changed = {}
        made = doctor.Dev(self.given)
        self.sqs, self.dynamodb = made.client("sqs"), made.client("dynamodb")

    def instance(self, **fields):
        self.bridge.control("instance", "POST", fields)

    def fault(self, **fault):
        self.bridge.control("faults", "POST", {"operation": "SendText", "fault": fault | {"times": "forever"}})

    def account(self, provider):
        return next(one for one in self.settings["accounts"] if one["provider"] == provider)

    def queue(self, name):
        return self.sqs.get_queue_url(QueueName=name)["QueueUrl"]

    def examined(self):
        dev = doctor.Dev(self.given | {"BRIDGE_SETTINGS": json.dumps(self.settings)})
        for variables in dev.variables.values():
            variables.update({name: value for name, value in self.changed.items() if name in variables})
        found = doctor.Doctor(dev)
        found.run()
        return found


@pytest.fixture
def laptop(dev):
    laptop = Laptop(dev)
    yield laptop
    laptop.instance()
    dev.control("reset", "POST", {})


def command(laptop, **given):
    """The command itself, in a terminal of its own: it knows the ports, and nothing else."""
    environment = os.environ | laptop.given | given
    done = subprocess.run([sys.executable, ROOT / "tools" / "doctor.py"], env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_a_good_set_up_has_no_finding(laptop):
    status, said = command(laptop)
    assert (status, said.splitlines()[-1]) == (0, "Nothing found"), said
    # What a laptop hasn't, and the accounts that no read-only call exists for.
    assert [line.split()[2] for line in said.splitlines()[:-1]] == ["provider_credentials:", "quotas:", "alarm_topics:"]
    assert "vonage-messages, aws-sns, webhook" in said and "no answer" not in said, said


def test_the_doctor_examines_what_make_dev_was_started_with(tmp_path):
    wrong = {"ALLOWED_ORIGINS": "https://shop.example/", "FEATURE_ATTACHMENTS": "true"}
    with running(tmp_path, PUBLIC_BASE_URL="https://tunnel.example", **wrong) as bridge:
        laptop = Laptop(bridge)
        laptop.instance(storage=["CHAT_TRANSCRIPTS"])
        status, said = command(laptop)
        assert status == 1
        assert "'https://shop.example/' is no origin" in said and "Attachments are on here" in said, said
        assert "no number's webhook" not in said, said
        started_with = ROOT / "target" / f"dev-{bridge.local}.json"
        assert started_with.stat().st_mode & 0o077 == 0
    assert not started_with.exists()
    status, said = command(laptop)
    assert status == 1 and said.startswith("make dev doesn't run here"), said


def another_instance(laptop):
    laptop.instance(ids=[OTHER])


def another_instance_in_cargo_toml(laptop):
    laptop.instance(ids=["44444444-4444-4444-8444-444444444444"])
    laptop.changed["CONNECT_INSTANCE_ID"] = "55555555-5555-4555-8555-555555555555"


def unfinished_instance(laptop):
    laptop.instance(status="CREATION_IN_PROGRESS")


def archived(laptop):
    laptop.instance(flows={FLOW: {"state": "ARCHIVED"}})


def unpublished(laptop):
    laptop.instance(flows={FLOW: {"status": "SAVED"}})


def queue_flow(laptop):
    laptop.instance(flows={FLOW: {"type": "CUSTOMER_QUEUE"}})


def another_flow_of_a_number(laptop):
    laptop.instance(flow_ids=[FLOW])
    laptop.account("twilio")["numbers"] = {"+12025550100": {"contact_flow_id": OTHER}}


def another_extra_flow(laptop):
    laptop.instance(flow_ids=[FLOW])
    laptop.given["EXTRA_CONTACT_FLOW_IDS"] = OTHER


def chat_is_off(laptop):
    laptop.instance(storage=["ATTACHMENTS"])


def attachments_are_off(laptop):
    laptop.instance(storage=["CHAT_TRANSCRIPTS"])
    laptop.given["FEATURE_ATTACHMENTS"] = "true"


def no_topic(laptop):
    laptop.instance(topic_arns=["arn:aws:sns:us-east-1:123456789012:another"])


def misspelt(laptop):
    laptop.account("signalwire")["api_keys"] = "KEY"


def no_secret(laptop):
    del laptop.account("meta")["app_secrets"]


def unknown_provider(laptop):
    laptop.settings["accounts"].append({"provider": "twillio"})


def the_same_name_twice(laptop):
    laptop.settings["accounts"].append(laptop.account("signalwire"))


def wrong_credentials(laptop):
    laptop.account("signalwire")["api_token"] = "PT_another"


def revoked_credentials(laptop):
    laptop.fault(status=401, type="Unauthorized")


def webhook_elsewhere(laptop):
    laptop.given["PUBLIC_BASE_URL"] = "https://new-tunnel.example"


def no_table(laptop):
    laptop.changed["CONVERSATIONS_TABLE"] = "conversation"


def no_queue(laptop):
    laptop.changed["INBOUND_QUEUE_URL"] = "https://sqs.us-east-1.amazonaws.com/123456789012/inbox.fifo"


def standard_queue(laptop):
    laptop.sqs.create_queue(QueueName="inbound")
    laptop.changed["INBOUND_QUEUE_URL"] = "https://sqs.us-east-1.amazonaws.com/123456789012/inbound"


def slash_at_the_end(laptop):
    laptop.given["ALLOWED_ORIGINS"] = "https://shop.example/"


def nothing_runs(laptop):
    laptop.given["PUBLIC_BASE_URL"] = f"http://localhost:{laptop.given['FUNCTIONS_PORT']}"
    laptop.given["FUNCTIONS_PORT"] = "1"


MISTAKES = {
    another_instance: "There is no Connect instance 4",
    another_instance_in_cargo_toml: "There is no Connect instance 5",
    unfinished_instance: "The Connect instance is CREATION_IN_PROGRESS",
    archived: "is archived",
    unpublished: "is not published",
    queue_flow: "is a CUSTOMER_QUEUE, which no chat can start in",
    another_flow_of_a_number: "The instance has no flow 6",
    another_extra_flow: "The instance has no flow 6",
    chat_is_off: "no storage for chat transcripts",
    attachments_are_off: "Attachments are on here, and off in the instance",
    no_topic: "There is no topic",
    misspelt: r"accounts\[1\] \(signalwire\): unknown names: api_keys",
    no_secret: "no app_secrets: no webhook can be verified",
    unknown_provider: "no such provider",
    the_same_name_twice: "another account has this name",
    wrong_credentials: "signalwire: the provider refuses the account's credentials",
    revoked_credentials: "the provider refuses the account's credentials",
    webhook_elsewhere: r"no number's webhook is https://new-tunnel.example/sms/\w+",
    no_table: "There is no table conversation$",
    no_queue: "INBOUND_QUEUE_URL: there is no queue inbox.fifo",
    standard_queue: "INBOUND_QUEUE_URL is no FIFO queue",
    slash_at_the_end: "'https://shop.example/' is no origin",
    nothing_runs: "Nothing answers at http://localhost:1",
}


@pytest.mark.parametrize("plant", MISTAKES, ids=lambda plant: plant.__name__)
def test_a_planted_mistake_is_found_with_its_fix_and_nothing_else_is(laptop, plant):
    plant(laptop)
    found = laptop.examined().findings
    assert found and all(re.search(MISTAKES[plant], what) for what, _ in found), found
    assert all(fix for _, fix in found)


def test_a_dead_letter_is_found(laptop):
    url = laptop.queue("inbound-dead-letters.fifo")
    laptop.sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="x", MessageDeduplicationId="x")
    try:
        status, said = command(laptop)
        assert status == 1 and "1 dead letters in inbound-dead-letters.fifo" in said and "1 findings" in said, said
    finally:
        laptop.sqs.purge_queue(QueueUrl=url)


def test_nothing_secret_is_printed(laptop):
    laptop.account("twilio")["api_secret"] = "hush"
    status, said = command(laptop, BRIDGE_SETTINGS=json.dumps(laptop.settings))
    assert status == 1 and "unknown names: api_secret" in said and "hush" not in said
    for account in laptop.settings["accounts"]:
        for secret in account.get("auth_tokens", []) + account.get("app_secrets", []) + [account.get("api_token", "x" * 9)]:
            assert secret not in said


def test_settings_that_are_no_json(laptop):
    status, said = command(laptop, BRIDGE_SETTINGS='{"accounts": [\n{,}]}')
    assert status == 1 and said.startswith("FOUND  The settings are no JSON at line 2, column 2"), said


def test_an_outage_of_a_provider_is_no_finding(laptop):
    laptop.fault(status=503, type="ServiceUnavailable")
    found = laptop.examined()
    assert found.findings == []
    assert any("twilio (503)" in reason for reason in found.unchecked)


@pytest.fixture(scope="module")
def moto():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


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
