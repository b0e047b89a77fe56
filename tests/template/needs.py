"""What the code needs of its deployment, read from the code."""

import math
import re
from functools import cache

import botocore.session
import reach
from expand import ROOT
from reach import without_tests

SHARED = ROOT / "shared" / "src"

# The configuration that each function reads, in shared/src/config.rs.
CONFIGURATIONS = {
    "start-chat": "StartChat",
    "receive-message": "ReceiveMessage",
    "deliver-message": "DeliverMessage",
    "send-reply": "SendReply",
}

# Variables that the template leaves unset on purpose.
UNSET = {
    # The template has the secret's ARN.
    "BRIDGE_SETTINGS": "the settings inline",
    # The SDKs' own, for stand-ins.
    "AWS_ENDPOINT_URL_SNS": "where certificates are fetched on a laptop",
}

# botocore's names of the services, by SDK crate.
SERVICES = {
    "connect": "connect",
    "connectparticipant": "connectparticipant",
    "dynamodb": "dynamodb",
    "pinpointsmsvoicev2": "pinpoint-sms-voice-v2",
    "secretsmanager": "secretsmanager",
    "sns": "sns",
    "socialmessaging": "socialmessaging",
    "sqs": "sqs",
}


@cache
def _reads():
    """For each type of config.rs with a `read`: the variables it names, and the types whose `read` it calls."""
    source = without_tests(SHARED / "config.rs")
    found = {}
    for block in re.finditer(r"^impl (\w+) \{\n(.*?)^\}", source, re.M | re.S):
        body = block[2]
        names = set(re.findall(r'env\.(?:optional|required|list|flag)\(\s*"(\w+)"', body))
        calls = set(re.findall(r"(\w+)::(?:read|required)\(\w*env\)", body)) - {block[1], "Self"}
        found[block[1]] = (names, calls)
    return found


def _variables_of(name):
    names, calls = _reads()[name]
    return names.union(*(_variables_of(call) for call in calls))


def variables(function):
    """The environment variables that a function reads, as the template deploys it."""
    names = _variables_of(CONFIGURATIONS[function])
    if function == "receive-message":
        # Read where INBOUND_QUEUE_URL is unset, which the template never leaves it.
        names -= _variables_of("Delivery")
    return names - set(UNSET)


def every_variable():
    """All that config.rs reads."""
    return set(re.findall(r'env\.\w+\(\s*"(\w+)"', without_tests(SHARED / "config.rs")))


def sdk_crates():
    """The SDK crates that the functions are built with."""
    return set(re.findall(r"^aws-sdk-(\w+)", (ROOT / "shared" / "Cargo.toml").read_text(), re.M))


@cache
def _operations_of(crate):
    model = botocore.session.get_session().get_service_model(SERVICES[crate])
    # Underscores don't count: the SDKs differ in where they put them (send_whats_app_message).
    return {name.lower(): name for name in model.operation_names}


# What a function's code reaches only where the template's variables are not set.
NOT_DEPLOYED = {
    # Delivery in the webhook itself, where INBOUND_QUEUE_URL is unset.
    "receive-message": {(("shared", "conversation"), "Conversations")},
}


@cache
def operations(function):
    """Every AWS operation that a function's code reaches, as `crate:Operation`; of a transaction, what is in it."""
    found, writes = set(), set()
    for path, name in reach.reached(function, frozenset(NOT_DEPLOYED.get(function, ()))):
        module = reach.modules()[path]
        found |= _operations(module.items[name], module.crates)
        writes |= set(re.findall(r"\bWrite::(put|delete|check)\(", module.items[name]))
    if TRANSACTION in found:
        kinds = {"put": "PutItem", "delete": "DeleteItem", "check": "ConditionCheckItem"}
        found = found - {TRANSACTION} | {f"dynamodb:{kinds[write]}" for write in writes}
    return found


TRANSACTION = "dynamodb:TransactWriteItems"


def _operations(source, crates):
    methods = {method.replace("_", "") for method in re.findall(r"\.(\w+)\(\)", source)}
    operations = [(crate, method, name) for crate in crates for method, name in _operations_of(crate).items()]
    return {f"{crate}:{name}" for crate, method, name in operations if method in methods}


def every_operation():
    """Every AWS operation that is called anywhere, whoever reaches it."""
    modules = reach.modules().values()
    return set().union(*(_operations(text, module.crates) for module in modules for text in module.items.values()))


@cache
def _code():
    files = [*SHARED.rglob("*.rs"), *(ROOT / "functions").rglob("src/*.rs")]
    return "\n".join(without_tests(path) for path in files)


def milliseconds():
    """The metrics that are published in milliseconds."""
    return set(re.findall(r'"Name": "(\w+)", "Unit": "Milliseconds"', _code()))


def metrics():
    """Every metric that the code publishes."""
    counted = re.findall(r'\.count\(\s*"(\w+)"', _code())
    by_code = re.findall(r'const (?:FAILED|REJECTED): &(?:\'static )?str = "(\w+)"', _code())
    return set(counted + by_code) | milliseconds()


def dimensions():
    """The dimensions that they are published by."""
    return re.findall(r'^const (?:FUNCTION|CODE): &str = "(\w+)"', without_tests(SHARED / "telemetry.rs"), re.M)


def _constants():
    """The numbers of shared/src/disposition.rs, by name; durations in seconds."""
    source = without_tests(SHARED / "disposition.rs")
    found = re.findall(r"^const (\w+): \w+ = (?:Duration::from_secs\()?([\d *]+)\)?;", source, re.M)
    return {name: math.prod(map(int, value.split("*"))) for name, value in found}


def longest_wait():
    """The seconds that a queue item waits for its next try, at most."""
    return _constants()["LONGEST"]


def minutes_of_patience(kind):
    """How long such an error is borne before its item is put aside, in minutes: from, to."""
    source = without_tests(SHARED / "disposition.rs")
    (first, patience), = re.findall(rf"Kind::{kind} => \((\d+), Some\(\(\"\w+\", (\w+)\)\)\)", source)
    # Twice as long each time, the upper half of it at random: see `growing` there.
    waits = [min(int(first) << tried, longest_wait()) for tried in range(_constants()[patience] - 1)]
    return round(sum(waits) / 2 / 60), round(sum(waits) / 60)


def codes():
    """Every error code."""
    return set(re.findall(r'=> "([A-Z_]+)"', without_tests(SHARED / "error.rs")))


def providers():
    """The providers that have code, as they are named in routes."""
    source = (SHARED / "sms" / "provider.rs").read_text()
    names = dict(re.findall(r'Self::(\w+) => "([a-z-]+)"', source))
    return {names[variant] for variant in re.findall(r"Provider::(\w+) => Some\(Self::", source)}


def origins():
    """Of what the tests of shared/src/widget/origin.rs try: the origins that are read, and the lists that are not."""
    tests = (SHARED / "widget" / "origin.rs").read_text().split("#[cfg(test)]")[1]
    taken = re.search(r'let list = "(.*?)";', tests, re.S)[1]
    refused = re.search(r"fn what_is_no_origin_is_refused\w*\(\) \{\s*for list in \[(.*?)\] \{", tests, re.S)[1]
    return [origin.strip(" \\\n") for origin in taken.split(",")], re.findall(r'"(.*?)"', refused)


def cors():
    """The CORS headers of shared/src/widget/cors.rs, by constant."""
    source = (SHARED / "widget" / "cors.rs").read_text()
    constants = re.findall(r'const (\w+): &str = "([^"]*)"', source)
    return {name: re.sub(r"\\\n\s*", "", value) for name, value in constants}
