"""The template against what the functions themselves say: the variables that they read, and the metrics that they publish."""

import json
import re
import subprocess

import pytest
from contract import FUNCTIONS, VARIABLES
from expand import MONITORING, ROOT

EXPORTS = json.loads(subprocess.run([ROOT / "target" / "debug" / "exports"], capture_output=True, check=True).stdout)
OURS = "ConnectChatBridge"

# Read, and not set by the template: it has the secret's ARN, and no stand-in.
UNSET = {"BRIDGE_SETTINGS", "AWS_ENDPOINT_URL_SNS"}
# Set, and not read yet. Take a name out when it is: a test says so.
VARIABLES_TO_COME = {
    "OUTBOUND_QUEUE_URL",
    "ATTACHMENT_MAX_BYTES",
    "ATTACHMENT_EXTENSIONS",
    "BRIDGE_SETTINGS_ARN",
}
# API Gateway's log makes it: the template's metric filter.
OF_THE_GATEWAY = {"WebhookThrottled"}


@pytest.mark.parametrize("function", EXPORTS["variables"])
def test_the_template_sets_what_a_function_reads(function):
    read = set(EXPORTS["variables"][function])
    assert read - VARIABLES[function] <= UNSET
    assert VARIABLES[function] - read <= VARIABLES_TO_COME


def test_every_function_says_what_it_reads():
    built = {path.parent.name for path in ROOT.glob("functions/*/Cargo.toml")}
    assert set(EXPORTS["variables"]) == built <= set(FUNCTIONS)


def test_nothing_is_to_come_that_has_come():
    missing = {
        name for function, read in EXPORTS["variables"].items() for name in VARIABLES[function] - set(read)
    }
    assert missing >= VARIABLES_TO_COME


def test_alarms_and_dashboard_know_the_metrics():
    text = json.dumps(MONITORING)
    # As an alarm, a line of the dashboard and a search of the dashboard name them.
    named = re.findall(rf'"Namespace": "{OURS}", "MetricName": "(\w+)"', text)
    named += re.findall(rf'\[\\"{OURS}\\",\\"(\w+)\\"', text)
    named += re.findall(r'MetricName=[\\"]+(\w+)', text)
    assert {"ChatRejected", "MessageReceived", "TextFailed"} <= set(named)
    assert set(named) <= set(EXPORTS["metrics"]) | OF_THE_GATEWAY
