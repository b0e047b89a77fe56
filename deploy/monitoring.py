"""Writes deploy/monitoring.json: alarms, dashboard and saved queries, a nested stack of template.yaml.

ALARMS is the one table of them. `python deploy/monitoring.py` writes the file (`make monitoring`); a test compares it.
"""

import json
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_suffix(".json")
MANUAL = "docs/operations.md#"
OURS = "ConnectChatBridge"
QUEUES = ["Inbound", "Outbound", "Reply", "EndUserMessaging"]
FUNCTIONS = ["StartChat", "ReceiveMessage", "DeliverMessage", "ReceiveReply", "SendReply"]
WITH_SETTINGS = [name for name in FUNCTIONS if name != "ReceiveReply"]
PAGE, TICKET = "PageTopicArn", "TicketTopicArn"


@dataclass(frozen=True)
class Metric:
    """A metric; `where` is the parameter that its main dimension takes its value from."""

    name: str
    where: str
    code: str | None = None
    namespace: str = OURS
    stat: str = "Sum"

    def dimensions(self):
        kind = {"Api": "ApiId", "StreamingTopic": "TopicName"} | dict.fromkeys(FUNCTIONS, "FunctionName")
        named = [{"Name": kind.get(self.where, "QueueName"), "Value": {"Ref": self.where}}]
        if self.namespace == "AWS/ApiGateway":
            named.append({"Name": "Stage", "Value": "$default"})
        return named + ([{"Name": "code", "Value": self.code}] if self.code else [])

    def of_alarm(self):
        kind = "ExtendedStatistic" if self.stat.startswith("p") else "Statistic"
        return {
            "Namespace": self.namespace,
            "MetricName": self.name,
            "Dimensions": self.dimensions(),
            kind: self.stat,
        }

    def of_query(self, name, period):
        metric = {"Namespace": self.namespace, "MetricName": self.name, "Dimensions": self.dimensions()}
        stat = {"Metric": metric, "Stat": self.stat, "Period": period}
        return {"Id": name, "ReturnData": False, "MetricStat": stat}


@dataclass(frozen=True)
class Alarm:
    """A row of the table. With more than one metric, or an expression, the alarm is on what the expression says."""

    name: str
    topic: str
    says: str
    runbook: str
    metrics: dict | Metric
    threshold: object = 1
    expression: str | None = None
    period: int = 300
    periods: int = 1
    condition: str | None = None

    def resource(self):
        if isinstance(self.metrics, Metric):
            measured = self.metrics.of_alarm() | {"Period": self.period}
        else:
            measured = {"Metrics": [*self._queries(), self._result()]}
        properties = {
            "AlarmDescription": f"{self.says}. {MANUAL}{self.runbook}",
            **measured,
            "EvaluationPeriods": self.periods,
            "Threshold": self.threshold,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
        }
        actions = {"Fn::If": [f"Has{self.topic}", [{"Ref": self.topic}], {"Ref": "AWS::NoValue"}]}
        properties |= {"AlarmActions": actions, "OKActions": actions}
        return {
            "Type": "AWS::CloudWatch::Alarm",
            **({"Condition": self.condition} if self.condition else {}),
            "Properties": properties,
        }

    def _queries(self):
        for name, metric in self.metrics.items():
            query = metric.of_query(name, self.period)
            half = half_of(metric.where)
            yield query if half in (None, self.condition) else {"Fn::If": [half, query, {"Ref": "AWS::NoValue"}]}

    def _result(self):
        return {"Id": "result", "Expression": self.expression, "Label": self.says}


def half_of(where):
    """The condition under which a function, queue or topic is deployed."""
    if where == "Api":
        return None
    if where.startswith("EndUserMessaging"):
        return "EndUserMessaging"
    return "Widget" if where == "StartChat" else "Messages"


def of_lambda(name, where, stat="Sum"):
    return Metric(name, where, namespace="AWS/Lambda", stat=stat)


def of_sqs(name, where):
    return Metric(name, where, namespace="AWS/SQS", stat="Maximum")


def errors(function, runbook):
    return Alarm(
        f"{function}ErrorsAlarm",
        PAGE,
        f"{function} crashed or ran out of time",
        runbook,
        of_lambda("Errors", function),
        condition=half_of(function),
    )


def refused(name, topic, says, runbook, metric, function, code, threshold=1, condition=None):
    return Alarm(
        name,
        topic,
        says,
        runbook,
        Metric(metric, function, code),
        threshold=threshold,
        condition=condition or half_of(function),
    )


def age(queue, says, runbook):
    return Alarm(
        f"{queue}QueueAgeAlarm",
        PAGE,
        says,
        runbook,
        of_sqs("ApproximateAgeOfOldestMessage", f"{queue}Queue"),
        threshold={"Ref": "OldestMessageSeconds"},
        condition=half_of(f"{queue}Queue"),
    )


def dead_letters(queue, says):
    # The growth, so that old dead letters don't hide new ones. What a tool looks at is in flight for a while: both are counted.
    dead = f"{queue}DeadLetters"
    return Alarm(
        f"{dead}Alarm",
        PAGE,
        says,
        "dead-letters",
        {
            "waiting": of_sqs("ApproximateNumberOfMessagesVisible", dead),
            "in_flight": of_sqs("ApproximateNumberOfMessagesNotVisible", dead),
        },
        expression="DIFF(waiting + FILL(in_flight, 0))",
        condition=half_of(dead),
    )


ALARMS = [
    # The gateway's 5xx, but for what strangers can cause: a signature or a token that nothing has signed is answered 503 while
    # the settings may not be read again yet, and has an alarm of its own.
    Alarm(
        "ServerErrorsAlarm",
        PAGE,
        "Five requests within 5 minutes were answered 5xx",
        "errors-by-code",
        {
            "errors": Metric("5xx", "Api", namespace="AWS/ApiGateway"),
            "webhooks": Metric("WebhookRejected", "ReceiveMessage", "UNVERIFIED"),
            "tokens": Metric("ChatRejected", "StartChat", "UNAUTHENTICATED"),
        },
        threshold=5,
        expression="2 * FILL(errors, 0) - SUM(FILL(METRICS(), 0))",
    ),
    errors("StartChat", "a-function-fails"),
    errors("ReceiveMessage", "a-function-fails"),
    errors("DeliverMessage", "a-function-fails"),
    errors("ReceiveReply", "a-function-fails"),
    errors("SendReply", "a-function-fails"),
    Alarm(
        "ThrottlesAlarm",
        PAGE,
        "A function was not run for want of concurrency",
        "throttles",
        {f"function{number}": of_lambda("Throttles", name) for number, name in enumerate(FUNCTIONS)},
        expression="SUM(FILL(METRICS(), 0))",
    ),
    Alarm(
        "WebhooksThrottledAlarm",
        PAGE,
        "API Gateway refused webhooks with 429: more a second than WebhookRateLimit",
        "throttles",
        Metric("WebhookThrottled", "Api"),
        condition="Messages",
    ),
    Alarm(
        "SettingsUnreadableAlarm",
        PAGE,
        "The settings document can't be read or has an error",
        "the-settings-cant-be-read",
        {f"function{number}": Metric("SettingsUnreadable", name) for number, name in enumerate(WITH_SETTINGS)},
        expression="SUM(FILL(METRICS(), 0))",
    ),
    # ---- Web chat
    refused(
        "ChatQuotaAlarm",
        PAGE,
        "Visitors are refused: the quota of concurrent chats is spent",
        "quotas",
        "ChatRejected",
        "StartChat",
        "CHAT_QUOTA_EXCEEDED",
    ),
    refused(
        "ChatThrottledAlarm",
        PAGE,
        "Visitors are refused: more chat starts a second than the account's quota",
        "flood",
        "ChatRejected",
        "StartChat",
        "THROTTLED",
        threshold=5,
    ),
    refused(
        "ChatMisconfiguredAlarm",
        PAGE,
        "Connect denies chats, or knows no such instance or flow",
        "connect-denies",
        "ChatRejected",
        "StartChat",
        "CONNECT_MISCONFIGURED",
    ),
    Alarm(
        "StartChatSlowAlarm",
        TICKET,
        "1 visitor in 100 waits 5 s or more for a chat, for a quarter of an hour",
        "slow-chat-starts",
        of_lambda("Duration", "StartChat", "p99"),
        threshold=5000,
        periods=3,
        condition="Widget",
    ),
    refused(
        "TokenFailuresAlarm",
        TICKET,
        "Tokens that no key has signed, or expired ones: an attack, or a rotation that went wrong",
        "wrong-signatures",
        "ChatRejected",
        "StartChat",
        "UNAUTHENTICATED",
        threshold={"Ref": "SignatureFailureThreshold"},
        condition="Signed",
    ),
    # ---- Messages
    refused(
        "SignatureFailuresAlarm",
        TICKET,
        "Webhooks that no secret has signed: an attack, a rotation that went wrong, or a wrong PublicBaseUrl",
        "wrong-signatures",
        "WebhookRejected",
        "ReceiveMessage",
        "UNVERIFIED",
        threshold={"Ref": "SignatureFailureThreshold"},
    ),
    refused(
        "NotStoredAlarm",
        PAGE,
        "Webhooks could not be stored and were answered 503",
        "texts-dont-arrive",
        "WebhookRejected",
        "ReceiveMessage",
        "NOT_STORED",
    ),
    refused(
        "DeliveryQuotaAlarm",
        PAGE,
        "Messages wait: the quota of concurrent chats is spent",
        "quotas",
        "DeliveryFailed",
        "DeliverMessage",
        "CHAT_QUOTA_EXCEEDED",
    ),
    refused(
        "DeliveryMisconfiguredAlarm",
        PAGE,
        "Connect denies chats, or knows no such instance or flow; messages become dead letters after 8 tries",
        "connect-denies",
        "DeliveryFailed",
        "DeliverMessage",
        "CONNECT_MISCONFIGURED",
    ),
    Alarm(
        "IntegrationEventDeniedAlarm",
        TICKET,
        "Connect denies integration events: the chat route has taken over",
        "connect-denies",
        Metric("IntegrationEventDenied", "DeliverMessage"),
        condition="IntegrationEvents",
    ),
    age("Inbound", "Messages wait for Connect", "texts-dont-arrive"),
    age("EndUserMessaging", "Texts of End User Messaging wait to be read", "texts-dont-arrive"),
    age("Reply", "What Connect streams waits for receive-reply", "replies-dont-arrive"),
    age("Outbound", "Replies wait for their provider", "replies-dont-arrive"),
    dead_letters("Inbound", "A message could not be delivered"),
    dead_letters("EndUserMessaging", "A text of End User Messaging could not be stored"),
    dead_letters("Reply", "Something that Connect streamed could not be forwarded"),
    dead_letters("Outbound", "A reply could not be sent"),
    Alarm(
        "RepliesMissingAlarm",
        PAGE,
        "Chats started for an hour, and Connect published nothing of them",
        "replies-dont-arrive",
        {
            "started": Metric("ConversationStarted", "DeliverMessage"),
            "published": Metric("NumberOfMessagesPublished", "StreamingTopic", namespace="AWS/SNS"),
        },
        expression="IF(FILL(started, 0) >= 3 AND FILL(published, 0) == 0, 1, 0)",
        period=3600,
        condition="Messages",
    ),
    refused(
        "ReplyMisconfiguredAlarm",
        PAGE,
        "A provider refuses the account's credentials or number; replies become dead letters after 6 tries",
        "a-provider-refuses",
        "ReplyFailed",
        "SendReply",
        "SEND_MISCONFIGURED",
    ),
    Alarm(
        "ReplyNotDeliveredAlarm",
        TICKET,
        "Customers did not get an agent's reply; the agent was told",
        "a-provider-refuses",
        Metric("ReplyNotDelivered", "SendReply"),
        condition="Messages",
    ),
    Alarm(
        "TextFailuresAlarm",
        TICKET,
        "Carriers fail an unusual share of the texts",
        "carriers-fail-texts",
        {"failed": Metric("TextFailed", "DeliverMessage"), "delivered": Metric("TextDelivered", "DeliverMessage")},
        threshold={"Ref": "TextFailurePercent"},
        expression="IF(FILL(failed, 0) >= 10, 100 * FILL(failed, 0) / (FILL(failed, 0) + FILL(delivered, 0)), 0)",
        period=3600,
        condition="Messages",
    ),
]


# ---- Dashboard -------------------------------------------------------------------------------------------------------


def sub(text):
    return {"Fn::Sub": text}


def chart(title, *lines, stat="Sum"):
    """A widget of the dashboard as JSON text with `${parameters}`."""
    region = "${AWS::Region}"
    properties = {"title": title, "region": region, "period": 300, "stat": stat, "metrics": [*lines]}
    return json.dumps({"type": "metric", "width": 8, "height": 6, "properties": properties}, separators=(",", ":"))


def line(name, where, namespace=OURS, **options):
    (dimension, *_) = Metric(name, where, namespace=namespace).dimensions()
    shown = [namespace, name, dimension["Name"], f"${{{where}}}"]
    return [*shown, options] if options else shown


def by_code(metric, function):
    schema, named = f"{{{OURS},FunctionName,code}}", f'MetricName="{metric}" FunctionName="${{{function}}}"'
    return [{"expression": f"SEARCH('{schema} {named}','Sum',300)"}]


def queue_lines(queues, suffix, name, **options):
    return [line(name, f"{queue}{suffix}", "AWS/SQS", stat="Maximum", **options) for queue in queues]


VISIBLE, AGE = "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"
OWN_QUEUES = [queue for queue in QUEUES if queue != "EndUserMessaging"]
CHARTS = {
    None: [chart("API", *(line(name, "Api", "AWS/ApiGateway") for name in ("Count", "4xx", "5xx")))],
    "Widget": [
        chart("Chats", *(line(name, "StartChat") for name in ("ChatStarted", "ChatEnded", "ChatRejected"))),
        chart("Refused chats, by code", by_code("ChatRejected", "StartChat")),
        chart(
            "Chat starts: time in all, and in Connect (ms)",
            line("Duration", "StartChat", "AWS/Lambda", stat="p99"),
            line("Duration", "StartChat", "AWS/Lambda", stat="p50"),
            line("ConnectLatency", "StartChat", stat="p99"),
        ),
    ],
    "Messages": [
        chart(
            "Messages",
            line("MessageReceived", "ReceiveMessage"),
            line("MessageDelivered", "DeliverMessage"),
            line("ConversationStarted", "DeliverMessage"),
            line("DuplicateMessage", "DeliverMessage"),
        ),
        chart("Refused webhooks, by code", by_code("WebhookRejected", "ReceiveMessage")),
        chart(
            "Failed tries, by code",
            by_code("DeliveryFailed", "DeliverMessage"),
            by_code("ReplyFailed", "SendReply"),
        ),
        chart("Waiting", *queue_lines(OWN_QUEUES, "Queue", VISIBLE)),
        chart("Age of the oldest (s)", *queue_lines(OWN_QUEUES, "Queue", AGE)),
        chart("Dead letters", *queue_lines(OWN_QUEUES, "DeadLetters", VISIBLE)),
        chart(
            "Time in the queue (ms)",
            line("QueueTime", "DeliverMessage", stat="p99"),
            line("QueueTime", "SendReply", stat="p99"),
        ),
        chart(
            "Replies",
            line("ReplyForwarded", "ReceiveReply"),
            line("ReplyDelivered", "SendReply"),
            line("TextSent", "SendReply"),
            line("ReplyDelayed", "SendReply"),
            line("ReplyNotDelivered", "SendReply"),
        ),
        chart(
            "What carriers report",
            line("TextDelivered", "DeliverMessage"),
            line("TextFailed", "DeliverMessage"),
            line("StatusUnknown", "DeliverMessage"),
        ),
        chart("Failed texts, by code", by_code("TextFailed", "DeliverMessage")),
        chart("Opt-outs", line("OptedOut", "DeliverMessage"), line("OptedIn", "DeliverMessage")),
    ],
    "EndUserMessaging": [
        chart(
            "End User Messaging: waiting, dead letters",
            *queue_lines(["EndUserMessaging"], "Queue", VISIBLE),
            *queue_lines(["EndUserMessaging"], "Queue", "ApproximateNumberOfMessagesNotVisible"),
            *queue_lines(["EndUserMessaging"], "DeadLetters", VISIBLE),
            *queue_lines(["EndUserMessaging"], "Queue", AGE, yAxis="right"),
        )
    ],
}


def dashboard():
    parts = ['{"widgets":[']
    for half in ("Widget", "Messages", "EndUserMessaging"):
        charts = sub("".join(f"{one}," for one in CHARTS[half]))
        parts.append({"Fn::If": [half, charts, ""]})
    parts += [sub(",".join(CHARTS[None])), "]}"]
    name = sub("${Bridge}-${AWS::Region}")
    body = {"Fn::Join": ["", parts]}
    return {"Type": "AWS::CloudWatch::Dashboard", "Properties": {"DashboardName": name, "DashboardBody": body}}


# ---- Saved queries ---------------------------------------------------------------------------------------------------

QUERIES = {
    "errors by code": """\
filter ispresent(code) and code != "OK" and not ispresent(_aws.Timestamp)
| stats count(*) by service, code, cause
| sort count(*) desc""",
    "one contact": """\
filterIndex contact_id = "paste the contact id"
| filter not ispresent(_aws.Timestamp)
| sort @timestamp
| display @timestamp, service, code, outcome, status, notes, cause""",
    "one request": """\
filterIndex request_id = "paste the request id"
| sort @timestamp
| display @timestamp, service, code, outcome, status, notes, cause""",
    "from webhook to agent": """\
filter service = "deliver-message" and code = "OK"
| stats pct(queued_ms + duration_ms, 50), pct(queued_ms + duration_ms, 99) by bin(1h)""",
    "cold starts": """\
filter type = "platform.report"
| stats count(*), pct(record.metrics.initDurationMs, 99) by ispresent(record.metrics.initDurationMs)""",
}


def query(name, text):
    groups = {
        "Widget": ["start-chat"],
        "Messages": ["receive-message", "deliver-message", "receive-reply", "send-reply"],
    }
    names = [
        {"Fn::If": [half, sub(f"/aws/lambda/${{Bridge}}/{function}"), {"Ref": "AWS::NoValue"}]}
        for half, functions in groups.items()
        for function in functions
    ]
    properties = {"Name": sub(f"${{Bridge}}/{name}"), "LogGroupNames": names, "QueryString": text}
    return {"Type": "AWS::Logs::QueryDefinition", "Properties": properties}


# ---- The template ----------------------------------------------------------------------------------------------------

NAMES = [*FUNCTIONS, *(f"{queue}{kind}" for queue in QUEUES for kind in ("Queue", "DeadLetters"))]
NAMES += ["StreamingTopic"]
# The name of what is not deployed.
ABSENT = "none"
NUMBERS = ["SignatureFailureThreshold", "OldestMessageSeconds", "TextFailurePercent"]
SWITCHES = ["Signed", "IntegrationEvents"]


def is_there(name, otherwise=ABSENT):
    return {"Fn::Not": [{"Fn::Equals": [{"Ref": name}, otherwise]}]}


def template():
    parameters = {name: {"Type": "String"} for name in ("Bridge", "Api")}
    parameters |= {name: {"Type": "String", "Default": ABSENT} for name in NAMES}
    parameters |= {name: {"Type": "String", "Default": ""} for name in (PAGE, TICKET)}
    parameters |= {name: {"Type": "String", "Default": "false"} for name in SWITCHES}
    parameters |= {name: {"Type": "Number"} for name in NUMBERS}
    resources = {alarm.name: alarm.resource() for alarm in ALARMS}
    resources["Dashboard"] = dashboard()
    for name, text in QUERIES.items():
        resources[name.title().replace(" ", "") + "Query"] = query(name, text)
    # The alarms that stop a gradual deployment.
    watched = {"ServerErrorsAlarm": None, "StartChatErrorsAlarm": "Widget", "ReceiveMessageErrorsAlarm": "Messages"}
    outputs = {
        name: ({"Condition": half} if half else {}) | {"Value": {"Ref": name}} for name, half in watched.items()
    }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "connect-chat-bridge: alarms, dashboard and saved queries (written by deploy/monitoring.py)",
        "Parameters": parameters,
        "Conditions": {
            "Widget": is_there("StartChat"),
            "Messages": is_there("ReceiveMessage"),
            "EndUserMessaging": is_there("EndUserMessagingQueue"),
            **{name: {"Fn::Equals": [{"Ref": name}, "true"]} for name in SWITCHES},
            **{f"Has{topic}": is_there(topic, "") for topic in (PAGE, TICKET)},
        },
        "Resources": resources,
        "Outputs": outputs | {"DashboardName": {"Value": {"Ref": "Dashboard"}}},
    }


def text():
    return json.dumps(template(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
