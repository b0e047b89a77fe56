"""The nested stack of alarms, dashboard and saved queries: against what is deployed, the manual, and strangers."""

import json
import math
import re
import sys
from functools import cache

import pytest
from contract import FUNCTIONS
from expand import DEPLOYMENTS, EVERYTHING, MONITORING, ROOT, Stack, expand, source

sys.path.insert(0, str(ROOT / "deploy"))
import monitoring  # noqa: E402

EXPANDED = expand(source())
MANUAL = (ROOT / "docs" / "operations.md").read_text()
ALARMS = {alarm.name: alarm for alarm in monitoring.ALARMS}
OURS = "ConnectChatBridge"


@cache
def nested(deployment):
    return Stack(EXPANDED, DEPLOYMENTS[deployment]).nested("Monitoring", MONITORING)


def metrics_of(alarm):
    """The metrics of an alarm, with their ids; one without an expression has none."""
    if "MetricName" in alarm:
        return {None: alarm}
    return {query["Id"]: query["MetricStat"]["Metric"] for query in alarm["Metrics"] if "MetricStat" in query}


def dimensions(metric):
    return {one["Name"]: one["Value"] for one in metric["Dimensions"]}


def test_the_file_is_what_the_table_says():
    assert monitoring.FILE.read_text() == monitoring.text(), "make monitoring"


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_alarms_watch_what_there_is(deployment):
    parent = Stack(EXPANDED, DEPLOYMENTS[deployment])
    stack = nested(deployment)
    functions = set(parent.of_type("AWS::Lambda::Function"))
    queues = set(parent.of_type("AWS::SQS::Queue"))
    watched = set()
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        assert alarm["TreatMissingData"] == "notBreaching", name
        for metric in metrics_of(alarm).values():
            for value in dimensions(metric).values():
                assert "none" != value, f"{name} watches what is not deployed"
            watched |= {(metric["MetricName"], value) for value in dimensions(metric).values()}
        if "Metrics" in alarm:
            (result,) = [query["Expression"] for query in alarm["Metrics"] if query.get("ReturnData", True)]
            named = set(re.findall(r"\b[a-z][a-z0-9_]*", result))
            there = set(metrics_of(alarm))
            # What the text names must be there in every deployment; METRICS() takes what there is.
            assert named <= there and (named == there or "METRICS()" in result), name
    for function in functions:
        assert {("Errors", f"{{{function}}}"), ("Throttles", f"{{{function}}}")} <= watched
    for queue in queues:
        of = "ApproximateNumberOfMessagesVisible" if queue.endswith("DeadLetters") else "ApproximateAgeOfOldestMessage"
        assert (of, f"{{{queue}.QueueName}}") in watched
    # Settings can be wrong in every kind of deployment.
    assert "SettingsUnreadableAlarm" in stack.of_type("AWS::CloudWatch::Alarm")
    topics = {"PageTopicArn": "page", "TicketTopicArn": "ticket"}
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        expected = [parent.parameters[ALARMS[name].topic]] if deployment == "everything" else None
        assert alarm.get("AlarmActions") == alarm.get("OKActions") == expected, name
        (row,) = re.findall(rf"^\|[^|]*`{name}`[^|]*\| (\w+) \|.*\(#([a-z-]+)\) \|$", MANUAL, re.M)
        assert row == (topics[ALARMS[name].topic], ALARMS[name].runbook), f"{name} in docs/operations.md"


def anchor(heading):
    """As GitHub makes them."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_each_alarm_names_its_section_of_the_manual():
    anchors = {anchor(heading) for heading in re.findall(r"^#+ (.*)$", MANUAL, re.M)}
    for alarm in monitoring.ALARMS:
        description = MONITORING["Resources"][alarm.name]["Properties"]["AlarmDescription"]
        assert description.endswith(f"docs/operations.md#{alarm.runbook}") and len(description) <= 1024
        assert alarm.runbook in anchors, alarm.name
    links = set(re.findall(r"\]\(#([^)]+)\)", MANUAL))
    assert links <= anchors, links - anchors


def test_the_manual_fits_ten_screens():
    """Of 50 lines and 120 columns."""
    assert sum(max(1, math.ceil(len(line) / 120)) for line in MANUAL.splitlines()) <= 10 * 50


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_the_dashboard_shows_what_there_is(deployment):
    stack = nested(deployment)
    body = stack.of_type("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"]
    widgets = json.loads(body)["widgets"]
    assert "none" not in re.findall(r'"([^"]*)"', body)
    search = re.compile(
        r"SEARCH\('\{ConnectChatBridge,FunctionName,code\} MetricName=\"(\w+)\" FunctionName=\"\{(\w+)\}\"','Sum',300\)"
    )
    shown, queues = set(), set()
    for widget in widgets:
        for metric in widget["properties"]["metrics"]:
            if isinstance(metric[0], dict):
                assert search.fullmatch(metric[0]["expression"]), metric
            elif metric[0] == OURS:
                assert metric[2] == "FunctionName"
                shown.add(metric[1])
            elif metric[:2] == ["AWS/SQS", "ApproximateNumberOfMessagesVisible"]:
                queues.add(metric[3])
    parent = Stack(EXPANDED, DEPLOYMENTS[deployment])
    assert queues == {f"{{{name}.QueueName}}" for name in parent.of_type("AWS::SQS::Queue")}
    assert ("ChatStarted" in shown) == parent.condition("Widget")
    assert {"MessageDelivered", "TextDelivered", "TextFailed"} <= shown or not parent.condition("Messages")


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_saved_queries_read_the_functions_logs(deployment):
    parent, stack = Stack(EXPANDED, DEPLOYMENTS[deployment]), nested(deployment)
    groups = {
        group["LogGroupName"]
        for name, group in parent.of_type("AWS::Logs::LogGroup").items()
        if name.removesuffix("Logs") in FUNCTIONS.values()
    }
    queries = stack.of_type("AWS::Logs::QueryDefinition")
    assert len(queries) == len(monitoring.QUERIES)
    for query in queries.values():
        assert set(query["LogGroupNames"]) == groups
    for name in monitoring.QUERIES:
        assert f"`{name}`" in MANUAL


# ---- Strangers -------------------------------------------------------------------------------------------------------

FIVE_MINUTES, HOUR, GATE = 300, 3600, 30


def evaluate(expression, series):
    """A metric math expression over one period; `series` has None where nothing was published."""

    def fill(value, by):
        if isinstance(value, dict):
            return {name: by if one is None else one for name, one in value.items()}
        return by if value is None else value

    known = {"FILL": fill, "METRICS": lambda: series, "SUM": lambda values: sum(values.values()), **series}
    known["IF"] = lambda condition, then, otherwise: then if condition else otherwise
    text = expression.replace(" AND ", " and ")
    try:
        return eval(text, {"__builtins__": {}}, known)  # noqa: S307
    except ZeroDivisionError:
        # CloudWatch leaves such a point out.
        return None


def rises(name, published):
    """Whether the alarm rises in a period in which these were published: {(metric, code): sum}."""
    alarm = nested("everything").of_type("AWS::CloudWatch::Alarm")[name]
    found = {
        key: published.get((metric["MetricName"], dimensions(metric).get("code")))
        for key, metric in metrics_of(alarm).items()
    }
    if None in found and len(found) == 1:
        value = found[None]
    else:
        (result,) = [query["Expression"] for query in alarm["Metrics"] if query.get("ReturnData", True)]
        value = evaluate(result, found)
    return value is not None and value >= float(alarm["Threshold"])


def forged(per_second):
    """An hour of forged webhooks, by five minutes: the settings are read again at most every 30 s, and then the answer is 403;
    between that it is 503. Each counts as UNVERIFIED, and none as unreadable settings (design, sections 4 and 7)."""
    periods = [{} for _ in range(HOUR // FIVE_MINUTES)]
    last_read = -GATE
    for number in range(int(HOUR * per_second)):
        now = number / per_second
        published = periods[int(now // FIVE_MINUTES)]
        if now - last_read >= GATE:
            last_read = now
        else:
            published[("5xx", None)] = published.get(("5xx", None), 0) + 1
        published[("WebhookRejected", "UNVERIFIED")] = published.get(("WebhookRejected", "UNVERIFIED"), 0) + 1
    return periods


@pytest.mark.parametrize("per_second", [0.01, 0.03, 0.1, 1, 10, 100])
def test_forged_webhooks_raise_their_own_alarm_only(per_second):
    periods = forged(per_second)
    threshold = float(EVERYTHING.get("SignatureFailureThreshold", 10))
    for published in periods:
        assert not rises("ServerErrorsAlarm", published)
        assert not rises("SettingsUnreadableAlarm", published)
        many = published.get(("WebhookRejected", "UNVERIFIED"), 0) >= threshold
        assert rises("SignatureFailuresAlarm", published) == many
    assert any(rises("SignatureFailuresAlarm", published) for published in periods) == (per_second * 300 >= threshold)


def test_real_errors_raise_theirs_beside_them():
    published = forged(1)[3]
    published[("5xx", None)] += 40
    assert rises("ServerErrorsAlarm", published)
    assert rises("ServerErrorsAlarm", {("5xx", None): 5}) and not rises("ServerErrorsAlarm", {("5xx", None): 4})
    assert rises("SettingsUnreadableAlarm", {("SettingsUnreadable", None): 1})


@pytest.mark.parametrize(
    ("name", "published", "expected"),
    [
        ("TextFailuresAlarm", {("TextFailed", None): 10, ("TextDelivered", None): 40}, True),
        ("TextFailuresAlarm", {("TextFailed", None): 10, ("TextDelivered", None): 41}, False),
        ("TextFailuresAlarm", {("TextFailed", None): 9}, False),
        ("TextFailuresAlarm", {("TextFailed", None): 10}, True),
        ("TextFailuresAlarm", {}, False),
        ("RepliesMissingAlarm", {("ConversationStarted", None): 3}, True),
        ("RepliesMissingAlarm", {("ConversationStarted", None): 2}, False),
        ("RepliesMissingAlarm", {("ConversationStarted", None): 9, ("NumberOfMessagesPublished", None): 1}, False),
        ("ThrottlesAlarm", {("Throttles", None): 1}, True),
        ("ThrottlesAlarm", {}, False),
    ],
)
def test_an_alarm_rises(name, published, expected):
    assert rises(name, published) is expected


def test_new_dead_letters_raise_an_alarm_beside_old_ones():
    """On the growth: CloudWatch's DIFF is the difference from the period before."""
    for queue in monitoring.QUEUES:
        alarm = nested("everything").of_type("AWS::CloudWatch::Alarm")[f"{queue}DeadLettersAlarm"]
        (result,) = [query["Expression"] for query in alarm["Metrics"] if query.get("ReturnData", True)]
        assert result == "DIFF(waiting + FILL(in_flight, 0))" and float(alarm["Threshold"]) == 1
        assert {metric["MetricName"] for metric in metrics_of(alarm).values()} == {
            "ApproximateNumberOfMessagesVisible",
            "ApproximateNumberOfMessagesNotVisible",
        }
