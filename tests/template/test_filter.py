"""What of the streaming topic reaches the reply queue, by the template's own filter in moto's SNS."""

import json

import boto3
import pytest
from expand import BOTH, Stack, expand, source
from moto import mock_aws

TYPES = "application/vnd.amazonaws.connect."
(SUBSCRIPTION,) = Stack(expand(source()), BOTH).of_type("AWS::SNS::Subscription").values()


@pytest.mark.parametrize(
    ("label", "attributes", "passes"),
    [
        ("an agent's words", {"Type": "MESSAGE", "ParticipantRole": "AGENT", "ContentType": "text/plain"}, True),
        ("a bot's words", {"Type": "MESSAGE", "ParticipantRole": "CUSTOM_BOT", "ContentType": "text/plain"}, True),
        ("a flow's words", {"Type": "MESSAGE", "ParticipantRole": "SYSTEM", "ContentType": "text/markdown"}, True),
        ("a menu", {"Type": "MESSAGE", "ParticipantRole": "SYSTEM", "ContentType": f"{TYPES}message.interactive"}, True),
        ("a file, which has no content type", {"Type": "ATTACHMENT", "ParticipantRole": "AGENT"}, True),
        ("an agent types", {"Type": "EVENT", "ParticipantRole": "AGENT", "ContentType": f"{TYPES}event.typing"}, True),
        ("the end, which may lack a role", {"Type": "EVENT", "ContentType": f"{TYPES}event.chat.ended"}, True),
        ("the end", {"Type": "EVENT", "ParticipantRole": "CUSTOMER", "ContentType": f"{TYPES}event.chat.ended"}, True),
        ("the customer's words", {"Type": "MESSAGE", "ParticipantRole": "CUSTOMER", "ContentType": "text/plain"}, False),
        ("the customer's file", {"Type": "ATTACHMENT", "ParticipantRole": "CUSTOMER"}, False),
        ("the customer types", {"Type": "EVENT", "ParticipantRole": "CUSTOMER", "ContentType": f"{TYPES}event.typing"}, False),
        ("a bot types", {"Type": "EVENT", "ParticipantRole": "CUSTOM_BOT", "ContentType": f"{TYPES}event.typing"}, False),
        ("somebody joins", {"Type": "EVENT", "ParticipantRole": "AGENT", "ContentType": f"{TYPES}event.participant.joined"}, False),
        ("a receipt", {"Type": "MESSAGEMETADATA", "ContentType": f"{TYPES}event.message.metadata"}, False),
    ],
)
def test_what_passes(label, attributes, passes, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        sns, sqs = (boto3.client(service, region_name="us-east-1") for service in ("sns", "sqs"))
        topic = sns.create_topic(Name="chat")["TopicArn"]
        url = sqs.create_queue(QueueName="replies")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = {"FilterPolicy": json.dumps(SUBSCRIPTION["FilterPolicy"])}
        policy |= {"FilterPolicyScope": SUBSCRIPTION["FilterPolicyScope"]}
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=policy)
        given = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        sns.publish(TopicArn=topic, Message="{}", MessageAttributes=given)
        assert bool(sqs.receive_message(QueueUrl=url).get("Messages")) is passes
