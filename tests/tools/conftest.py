"""moto in this process as AWS, and a stack in it."""

import sys
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests" / "template")]


@pytest.fixture(autouse=True)
def aws(monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "MOTO_ALLOW_NONEXISTENT_REGION": "false",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield


class Bridge:
    """The template's queues and table in moto, as a stack's resources."""

    def __init__(self):
        self.name = "bridge"
        self.sqs, self.dynamodb = boto3.client("sqs"), boto3.client("dynamodb")
        self.resources = {}
        for name in ("Inbound", "Outbound", "Reply"):
            for kind in ("DeadLetters", "Queue"):
                fifo = name != "Reply"
                attributes = {"FifoQueue": "true", "DeduplicationScope": "messageGroup"} if fifo else {}
                if fifo:
                    attributes["FifoThroughputLimit"] = "perMessageGroupId"
                made = self.sqs.create_queue(QueueName=f"{name}{kind}" + (".fifo" if fifo else ""), Attributes=attributes)
                self.resources[f"{name}{kind}"] = made["QueueUrl"]
        self.dynamodb.create_table(
            TableName="conversations",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.resources["Conversations"] = "conversations"

    def client(self, service):
        return boto3.client(service)

    def get(self, name):
        return self.resources.get(name)

    def put(self, name, body, reason=None, group="g", number=None, **attributes):
        """A dead letter."""
        texts = attributes | ({"reason": reason} if reason else {})
        more = {"MessageGroupId": group, "MessageDeduplicationId": f"{group}-{number or body}"} if name != "Reply" else {}
        self.sqs.send_message(
            QueueUrl=self.resources[f"{name}DeadLetters"],
            MessageBody=body,
            MessageAttributes={key: {"DataType": "String", "StringValue": text} for key, text in texts.items()},
            **more,
        )

    def read(self, name, kind="DeadLetters"):
        """The bodies in a queue, in order; they are taken away."""
        found = []
        url = self.resources[f"{name}{kind}"]
        while messages := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
        ).get("Messages"):
            for message in messages:
                found.append(message)
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def bodies(self, name, kind="DeadLetters"):
        return [message["Body"] for message in self.read(name, kind)]


@pytest.fixture
def bridge(monkeypatch):
    made = Bridge()
    for module in ("dead_letters", "erase", "rollback"):
        imported = __import__(module)
        monkeypatch.setattr(imported, "Stack", lambda name: made)
    monkeypatch.setattr(__import__("dead_letters"), "WAIT_SECONDS", 0)
    return made
