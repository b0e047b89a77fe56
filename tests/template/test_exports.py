"""The template against what the functions themselves say: the variables that they read, and the metrics that they publish."""

import json
import subprocess

import pytest
from contract import FUNCTIONS, VARIABLES
from expand import MONITORING, ROOT

EXPORTS = json.loads(subprocess.run([ROOT / "target" / "debug" / "exports"], capture_output=True, check=True).stdout)
OURS = "ConnectChatBridge"

# Read, and not set by the template: it has the secret's ARN, and no stand-in.
UNSET = {"BRIDGE_SETTINGS", "AWS_ENDPOINT_URL_SNS"}
# Set or watched, and not in the code yet. Take a name out when it is: the tests say so.
VARIABLES_TO_COME = {
    "SIGNED_REQUESTS",
    "UNSIGNED_IDENTITY",
    "CHAT_STARTS_PER_SECOND",
    "MESSAGE_PATIENCE_SECONDS",
    "REPLY_DELAY_NOTICE_SECONDS",
    "REPLY_PATIENCE_SECONDS",
    "OUTBOUND_QUEUE_URL",
    "DELIVERY_RECEIPTS",
    "ATTACHMENT_MAX_BYTES",
    "ATTACHMENT_EXTENSIONS",
    "BRIDGE_SETTINGS_ARN",
    "PUBLIC_BASE_URL",
    "FEATURE_ATTACHMENTS",
}
METRICS_TO_COME = {"SettingsUnreadable", "TextDelivered", "TextFailed"}
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
    assert missing | (VARIABLES["receive-reply"] if "receive-reply" not in EXPORTS["variables"] else set()) >= VARIABLES_TO_COME
    assert not METRICS_TO_COME & set(EXPORTS["metrics"])


def test_alarms_and_dashboard_know_the_metrics():
    text = json.dumps(MONITORING)
    used = set()
    for resource in MONITORING["Resources"].values():
        properties = resource["Properties"]
        metrics = [properties] if "MetricName" in properties else []
        for query in properties.get("Metrics", []):
            query = query["Fn::If"][1] if "Fn::If" in query else query
            metrics += [query["MetricStat"]["Metric"]] if "MetricStat" in query else []
        used |= {metric["MetricName"] for metric in metrics if metric["Namespace"] == OURS}
    assert used and used <= set(EXPORTS["metrics"]) | METRICS_TO_COME | OF_THE_GATEWAY
    for name in used:
        assert name in text
