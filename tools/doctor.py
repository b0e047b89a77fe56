#!/usr/bin/env python3
"""Looks for what newcomers get wrong: `make doctor` checks `make dev`, `make doctor STACK=…` a deployed stack.

Every call only reads. Each finding says what is wrong and what to do. What can't be checked is said, and is no finding.
Exit status: 0 without findings, 1 with findings.
"""

import argparse
import json
import os
import re
import socket
import sys
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from providers import NUMBER, PROVIDERS, call
from stack import DEFAULT, Stack, run

ROOT = Path(__file__).parents[1]
FUNCTIONS = {
    "start-chat": "StartChat",
    "receive-message": "ReceiveMessage",
    "deliver-message": "DeliverMessage",
    "receive-reply": "ReceiveReply",
    "send-reply": "SendReply",
}
ORIGIN = re.compile(r"\*|http://(localhost|127\.0\.0\.1):\*|[a-z][a-z0-9+.-]*://(\*\.)?([a-z0-9_.-]+|\[[0-9a-f:]+\])(:\d+)?")


class Unchecked(Exception):
    """Something that can't be checked here, and why."""


class Dev:
    """`make dev`: its ports are those of local/dev.sh, from the same variables, and so is what else it was started with, unless
    the doctor is given something else: a settings document can be checked before `make dev` takes it."""

    is_dev = True

    def __init__(self, environment=os.environ):
        port = environment.get("LOCAL_PORT", "9100")
        self.url = f"http://localhost:{environment.get('FUNCTIONS_PORT', '9000')}"
        local = f"http://127.0.0.1:{port}"
        moto = f"http://127.0.0.1:{environment.get('MOTO_PORT', '9101')}"
        self.endpoints = {"connect": local, "sns": local, "sqs": moto, "dynamodb": moto}
        self.started_with = ROOT / "target" / f"dev-{port}.json"
        given = json.loads(self.started_with.read_text()) if self.started_with.exists() else {}
        given |= {name: environment[name] for name in GIVEN if environment.get(name)}
        self.settings = given.pop("BRIDGE_SETTINGS", "{}")
        # What stands in Cargo.toml wins, as it does for `cargo lambda watch`.
        metadata = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["metadata"]["lambda"]
        of_each = {name: metadata.get("bin", {}).get(name, {}).get("env", {}) for name in FUNCTIONS}
        self.variables = {name: given | metadata["env"] | of_each[name] for name in FUNCTIONS}

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.endpoints.get(service, self.endpoints["connect"]),
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=10),
        )


# What may be given to `make dev`, and so to its doctor.
GIVEN = ["BRIDGE_SETTINGS", "PUBLIC_BASE_URL", "ALLOWED_ORIGINS", "EXTRA_CONTACT_FLOW_IDS", "FEATURE_ATTACHMENTS"]


class Deployed:
    """A stack: the functions' variables say what it uses."""

    is_dev = False

    def __init__(self, name):
        self.stack = Stack(name)
        self.client = self.stack.client
        functions = self.client("lambda")
        self.variables = {}
        for function, logical in FUNCTIONS.items():
            if self.stack.get(logical):
                found = functions.get_function_configuration(FunctionName=self.stack.get(logical), Qualifier="live")
                self.variables[function] = found.get("Environment", {}).get("Variables", {})
        described = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        self.parameters = {one["ParameterKey"]: one.get("ParameterValue", "") for one in described["Parameters"]}
        outputs = {one["OutputKey"]: one["OutputValue"] for one in described["Outputs"]}
        self.url = outputs["Url"]
        arn = self.first("BRIDGE_SETTINGS_ARN", "receive-message", "start-chat")
        self.settings = self._secret(arn) if arn else None

    def first(self, variable, *functions):
        found = (self.variables.get(function, {}).get(variable) for function in functions)
        return next((value for value in found if value), None)

    def _secret(self, arn):
        try:
            return self.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
        except ClientError as error:
            return error


class Doctor:
    """Runs the checks, and keeps what they find."""

    def __init__(self, bridge):
        self.bridge = bridge
        self.findings = []
        self.unchecked = []
        self.accounts = []

    def find(self, what, fix):
        if (what, fix) not in self.findings:
            self.findings.append((what, fix))

    def run(self):
        for check in CHECKS:
            try:
                check(self)
            except Unchecked as reason:
                self.unchecked.append(f"{check.__name__}: {reason}")
            except ClientError as error:
                self.unchecked.append(f"{check.__name__}: {error.operation_name}: {code_of(error)}")
            except BotoCoreError as error:
                self.unchecked.append(f"{check.__name__}: {type(error).__name__}")
        return self.findings

    def values(self, variable):
        """The different values that functions have of a variable."""
        return sorted({of[variable] for of in self.bridge.variables.values() if of.get(variable)})

    def messages(self):
        return "receive-message" in self.bridge.variables


def code_of(error):
    return error.response["Error"]["Code"]


def found(call, missing, **arguments):
    """The answer, or none where the service says that there is no such thing."""
    try:
        return call(**arguments)
    except ClientError as error:
        if code_of(error).rpartition(".")[2] in missing:
            return None
        raise


# ---- Checks ----------------------------------------------------------------------------------------------------------


def amazon_connect(doctor):
    connect = doctor.bridge.client("connect")
    for instance in doctor.values("CONNECT_INSTANCE_ID"):
        missing = {"ResourceNotFoundException", "InvalidParameterException"}
        answer = found(connect.describe_instance, missing, InstanceId=instance)
        if answer is None:
            doctor.find(
                f"There is no Connect instance {instance} in this account and region",
                "ConnectInstanceId is the UUID at the end of the instance's ARN; is the region right?",
            )
            raise Unchecked("flows, as there is no instance")
        status = answer["Instance"]["InstanceStatus"]
        if status != "ACTIVE":
            doctor.find(f"The Connect instance is {status}", "Wait until it is ACTIVE, or make a new one")
        flows(doctor, connect, instance)
        storage(doctor, connect, instance)


def flows(doctor, connect, instance):
    named = doctor.values("CONNECT_CONTACT_FLOW_ID")
    for listed in doctor.values("EXTRA_CONTACT_FLOW_IDS"):
        named += listed.split(",")
    for account in doctor.accounts:
        named += [number["contact_flow_id"] for number in numbers_of(account) if number.get("contact_flow_id")]
    for flow in sorted({one.strip().rpartition("/")[2] for one in named}):
        missing = {"ResourceNotFoundException", "InvalidParameterException"}
        answer = found(connect.describe_contact_flow, missing, InstanceId=instance, ContactFlowId=flow)
        if answer is None:
            doctor.find(f"The instance has no flow {flow}", "Take the UUID at the end of the flow's ARN (About this flow)")
            continue
        described = answer["ContactFlow"]
        if described.get("State") == "ARCHIVED":
            doctor.find(f"The flow {flow} is archived", "Restore it in the flow list, or name another one")
        elif described.get("Status") == "SAVED":
            doctor.find(f"The flow {flow} is not published", "Publish it in the flow editor")
        if described.get("Type", "CONTACT_FLOW") != "CONTACT_FLOW":
            doctor.find(
                f"{flow} is a {described['Type']}, which no chat can start in", "Name a flow of the type *Contact flow*"
            )


def storage(doctor, connect, instance):
    def is_set(kind):
        answer = connect.list_instance_storage_configs(InstanceId=instance, ResourceType=kind)
        return bool(answer["StorageConfigs"])

    if not is_set("CHAT_TRANSCRIPTS"):
        doctor.find("The instance has no storage for chat transcripts, so chat is off", "Data storage: set a bucket for them")
    if "true" in doctor.values("FEATURE_ATTACHMENTS") and not is_set("ATTACHMENTS"):
        doctor.find(
            "Attachments are on here, and off in the instance",
            "Data storage → Attachments: set a bucket; or AttachmentsEnabled=false",
        )


def settings_document(doctor):
    settings = doctor.bridge.settings
    if settings is None:
        raise Unchecked("there is none")
    if isinstance(settings, ClientError):
        doctor.find(f"The settings secret can't be read: {code_of(settings)}", "SettingsSecretArn is the secret's whole ARN")
        return
    try:
        document = json.loads(settings)
    except ValueError as error:
        at = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        doctor.find(f"The settings are no JSON{at}", "Mend the document; the last good one stays in use meanwhile")
        return
    unknown = sorted(set(document) - {"widget", "accounts"})
    if unknown:
        doctor.find(f"The settings have unknown names: {', '.join(unknown)}", "Only widget and accounts stand there")
    for key in document.get("widget", {}).get("signing_keys", []):
        if len(key.encode()) < 32:
            doctor.find("A widget.signing_keys entry is shorter than 32 bytes", "Make one: openssl rand -base64 48")
    names = set()
    for number, account in enumerate(document.get("accounts", [])):
        name = account.get("name", account.get("provider"))
        place = f"accounts[{number}] ({name})"
        if name in names:
            doctor.find(f"{place}: another account has this name", "Give each a name of its own; routes and records use it")
        names.add(name)
        check_account(doctor, place, account)


def check_account(doctor, place, account):
    provider = PROVIDERS.get(account.get("provider"))
    if provider is None:
        doctor.find(f"{place}: no such provider", f"One of {', '.join(sorted(PROVIDERS))}")
        return
    doctor.accounts.append(account)
    unknown = sorted(set(account) - provider.fields())
    if unknown:
        doctor.find(f"{place}: unknown names: {', '.join(unknown)}", f"It takes {', '.join(sorted(provider.fields()))}")
    if not any(account.get(name) for name in provider.verifies):
        needs = " or ".join(provider.verifies)
        doctor.find(f"{place}: no {needs}: no webhook can be verified", "Add the secret that the provider signs with")
    for number in numbers_of(account):
        if set(number) - NUMBER:
            doctor.find(f"{place}: a number has unknown names", f"It takes {', '.join(sorted(NUMBER))}")


def numbers_of(account):
    numbers = account.get("numbers")
    return [one for one in numbers.values() if isinstance(one, dict)] if isinstance(numbers, dict) else []


def provider_credentials(doctor):
    if not doctor.accounts:
        raise Unchecked("there is no account")
    left = []
    for account in doctor.accounts:
        provider, name = PROVIDERS[account["provider"]], account.get("name", account["provider"])
        if not provider.read or not all(account.get(one) for one in provider.sends):
            left.append(name)
            continue
        status, _ = call(account, provider.read(account))
        if status in (401, 403):
            doctor.find(
                f"{name}: the provider refuses the account's credentials ({status})",
                f"Check {', '.join(provider.sends)} in the settings; replies fail with them",
            )
        elif status is None or status >= 300:
            left.append(f"{name} ({status or 'no answer'})")
    if left:
        raise Unchecked(", ".join(left))


def webhook_urls(doctor):
    base = (doctor.values("PUBLIC_BASE_URL") or [doctor.bridge.url])[0]
    for account in doctor.accounts:
        provider, name = PROVIDERS[account["provider"]], account.get("name", account["provider"])
        if not provider.webhooks or not all(account.get(one) for one in provider.sends):
            continue
        status, answer = call(account, provider.webhooks(account))
        if status != 200:
            continue
        urls = {where: url for where, url in provider.urls(answer).items() if url}
        # A number that is for something else is nobody's mistake; that none is for the bridge is one.
        right = f"{base}/sms/{account['provider']}"
        ours = [url for url in urls.values() if re.fullmatch(rf"{re.escape(right)}(/[^/?#]+)?/?([?#].*)?", url)]
        if provider.urls(answer) and not ours:
            doctor.find(f"{name}: no number's webhook is {right}", "Set it at the provider; signatures are made over it")


def streaming_topic(doctor):
    for topic in doctor.values("STREAMING_TOPIC_ARN") if doctor.messages() else []:
        sns = doctor.bridge.client("sns")
        answer = found(sns.get_topic_attributes, {"NotFound", "NotFoundException"}, TopicArn=topic)
        if answer is None:
            doctor.find(f"There is no topic {topic}", "Deploy again: without it no customer is connected to a chat")
            continue
        if topic.endswith(".fifo"):
            doctor.find("The streaming topic is a FIFO topic", "Connect streams to standard topics only")
        policy = answer["Attributes"].get("Policy", "")
        if not doctor.bridge.is_dev and "connect.amazonaws.com" not in policy:
            doctor.find("Connect may not publish to the streaming topic", "Deploy again: its policy was changed")
        if answer["Attributes"].get("KmsMasterKeyId", "").endswith("alias/aws/sns"):
            doctor.find("The streaming topic is encrypted with SNS's own key", "Connect can't use it: give KmsKeyArn, or none")
        if not doctor.bridge.is_dev:
            listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
            if not any(one["Protocol"] == "sqs" for one in listed):
                doctor.find("Nothing subscribes to the streaming topic", "Deploy again: replies go nowhere")


def queues(doctor):
    sqs = doctor.bridge.client("sqs")
    for variable in ("INBOUND_QUEUE_URL", "OUTBOUND_QUEUE_URL", "DEAD_LETTER_QUEUE_URL"):
        for url in doctor.values(variable):
            missing = {"NonExistentQueue", "QueueDoesNotExist"}
            answer = found(sqs.get_queue_attributes, missing, QueueUrl=url, AttributeNames=["All"])
            if answer is None:
                doctor.find(f"{variable}: there is no queue {url.rpartition('/')[2]}", "Deploy again, or restart make dev")
                continue
            attributes = answer["Attributes"]
            if variable != "DEAD_LETTER_QUEUE_URL" and attributes.get("FifoQueue") != "true":
                doctor.find(f"{variable} is no FIFO queue: conversations lose their order", "Name a FIFO queue")
            if variable == "DEAD_LETTER_QUEUE_URL":
                count = int(attributes["ApproximateNumberOfMessages"])
                if count:
                    doctor.find(f"{count} dead letters in {url.rpartition('/')[2]}", "make dead-letters says why")
    mappings(doctor)


def mappings(doctor):
    if doctor.bridge.is_dev:
        return
    client = doctor.bridge.client("lambda")
    for function in ("deliver-message", "receive-reply", "send-reply"):
        logical = doctor.bridge.stack.get(FUNCTIONS[function])
        if not logical:
            continue
        alias = f"{logical}:live"
        listed = client.list_event_source_mappings(FunctionName=alias)["EventSourceMappings"]
        if not any(one["State"] == "Enabled" for one in listed):
            doctor.find(f"{function} takes nothing from its queue", "docs/operations.md, stopping and resuming delivery")


def table(doctor):
    dynamodb = doctor.bridge.client("dynamodb")
    for name in doctor.values("CONVERSATIONS_TABLE"):
        answer = found(dynamodb.describe_table, {"ResourceNotFoundException"}, TableName=name)
        if answer is None:
            doctor.find(f"There is no table {name}", "Deploy again, or restart make dev")
            continue
        if answer["Table"]["KeySchema"] != [{"AttributeName": "pk", "KeyType": "HASH"}]:
            doctor.find(f"The table {name} has another key than pk", "Use the template's table")
            continue
        if doctor.bridge.is_dev:
            continue
        expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        if expiry.get("AttributeName") != "expires_at":
            doctor.find(f"Items of the table {name} never expire", "Enable its time to live, on expires_at")


def origins(doctor):
    for listed in doctor.values("ALLOWED_ORIGINS"):
        for origin in listed.split(","):
            if not ORIGIN.fullmatch(origin.strip()):
                doctor.find(
                    f"ALLOWED_ORIGINS: {origin!r} is no origin", "Write it as browsers do: https://shop.example, no path"
                )


def bridge_answers(doctor):
    def ask(path, method="POST"):
        try:
            request = urllib.request.Request(doctor.bridge.url + path, data=b"[", method=method)
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except (OSError, ValueError):
            return None, b""

    if "start-chat" in doctor.bridge.variables:
        status, body = ask("/chat")
        if status is None:
            what = f"Nothing answers at {doctor.bridge.url}"
            doctor.find(what, "Start make dev" if doctor.bridge.is_dev else "Check PublicBaseUrl and its domain's mapping")
            return
        if status not in (400, 401, 403, 429) or b'"success"' not in body:
            doctor.find(f"POST /chat is answered {status}", "docs/operations.md, errors by code")
    for account in doctor.accounts:
        path = f"/sms/{account['provider']}"
        status, _ = ask(path)
        if status is None or status == 404 or status >= 500:
            doctor.find(f"POST {path} is answered {status}", "Is PublicBaseUrl's domain mapped to this API, path included?")


def quotas(doctor):
    if doctor.bridge.is_dev:
        raise Unchecked("make dev has none")
    given = doctor.bridge.parameters
    starts = int(given.get("ChatRateLimit") or 0) if doctor.bridge.stack.get("StartChat") else 0
    if doctor.messages():
        starts += int(given["ChatStartsPerSecond"]) * int(given["DeliveryConcurrency"])
    per_second = None
    pages = doctor.bridge.client("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode="connect")
    for quota in (quota for page in pages for quota in page["Quotas"]):
        if "StartChatContact" in quota["QuotaName"]:
            per_second = quota["Value"]
    if per_second is None:
        raise Unchecked("Service Quotas doesn't list the rate of StartChatContact")
    if starts > per_second + 2:
        doctor.find(
            f"The stack may start {starts} chats a second, the account {per_second:.0f}",
            "Raise the quota, or lower ChatRateLimit, ChatStartsPerSecond or DeliveryConcurrency",
        )


def alarm_topics(doctor):
    if doctor.bridge.is_dev:
        raise Unchecked("make dev has none")
    sns = doctor.bridge.client("sns")
    for name in ("PageTopicArn", "TicketTopicArn"):
        topic = doctor.bridge.parameters.get(name)
        if not topic:
            if name == "PageTopicArn":
                doctor.find("Alarms reach nobody", "Set PageTopicArn to a topic that somebody reads")
            continue
        answer = found(sns.get_topic_attributes, {"NotFound", "NotFoundException"}, TopicArn=topic)
        if answer is None:
            doctor.find(f"{name}: there is no such topic", "Create it, or name another one")
            continue
        if answer["Attributes"].get("KmsMasterKeyId", "").endswith("alias/aws/sns"):
            doctor.find(f"{name} is encrypted with SNS's own key", "CloudWatch can't use it: take a key of your own, or none")
        listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        if not any(one["SubscriptionArn"].startswith("arn:") for one in listed):
            doctor.find(f"{name} has no confirmed subscription", "Subscribe somebody, and confirm by the link in the email")


CHECKS = [
    settings_document,
    bridge_answers,
    amazon_connect,
    streaming_topic,
    queues,
    table,
    origins,
    provider_credentials,
    webhook_urls,
    quotas,
    alarm_topics,
]


def is_open(url):
    parts = urllib.parse.urlsplit(url)
    with socket.socket() as probe:
        probe.settimeout(3)
        return probe.connect_ex((parts.hostname, parts.port)) == 0


def main(argv=None):
    parser = argparse.ArgumentParser(description="Looks for what newcomers get wrong.")
    parser.add_argument("--stack", help=f"a deployed stack ({DEFAULT}); without it: make dev on this machine")
    options = parser.parse_args(argv)
    bridge = Deployed(options.stack) if options.stack else Dev()
    if bridge.is_dev and not (bridge.started_with.exists() and is_open(bridge.endpoints["connect"])):
        sys.exit("make dev doesn't run here, or not yet. Start it, or check a deployed stack: make doctor STACK=<name>")
    doctor = Doctor(bridge)
    findings = doctor.run()
    for what, fix in findings:
        print(f"FOUND  {what}\n       {fix}")
    for reason in doctor.unchecked:
        print(f"not checked  {reason}")
    print(f"{len(findings)} findings" if findings else "Nothing found")
    return 1 if findings else 0


if __name__ == "__main__":
    run(main)
