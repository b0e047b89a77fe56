"""The template against the contract: variables, permissions, triggers, alarms; and ten mistakes that must be noticed."""

import copy
import itertools
import json
import re

import botocore.session
import pytest
import yaml
from contract import ACTIONS, FUNCTIONS, HALVES, MAPPINGS, PREFLIGHT_ROUTES, VARIABLES, WEBHOOK_ROUTES, WIDGET_ROUTES
from expand import (
    ACCOUNT,
    BOTH,
    CONNECT,
    DEPLOYMENTS,
    EVERYTHING,
    FLOW,
    INSTANCE,
    INSTANCE_ARN,
    KEY,
    MESSAGES_ONLY,
    MONITORING,
    ROOT,
    SECRET,
    SIGNED,
    WIDGET_ONLY,
    WIDGET_SECRET,
    Refused,
    Stack,
    expand,
    source,
)


EXPANDED = expand(source())


def listed(value):
    return value if isinstance(value, list) else [value]


def environment(stack, function):
    return stack.of_type("AWS::Lambda::Function")[FUNCTIONS[function]]["Environment"]["Variables"]


def statements(stack, function):
    """Everything that the function's role allows."""
    role = stack.of_type("AWS::Lambda::Function")[FUNCTIONS[function]]["Role"]
    role = stack.of_type("AWS::IAM::Role")[role.strip("{}").removesuffix(".Arn")]
    assert role["AssumeRolePolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]
    assert "ManagedPolicyArns" not in role, "AWS's own policies allow any resource"
    return [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]


def permissions(stack, function):
    """(action, resource, condition)."""
    found = []
    for statement in statements(stack, function):
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}, statement
        assert statement["Effect"] == "Allow"
        condition = json.dumps(statement.get("Condition"))
        found += itertools.product(listed(statement["Action"]), listed(statement["Resource"]), [condition])
    assert len(found) == len(set(found)), "something is allowed twice"
    return set(found)


def needed(stack, function):
    pairs = set()
    for action, callers, resources, condition, *only in ACTIONS:
        if function in listed(callers) and stack.condition(condition):
            resources = stack.parameters[resources] if isinstance(resources, str) else resources
            only = json.dumps(only[0] if only else None)
            pairs |= {(action, resource.replace("{Logs}", f"{{{FUNCTIONS[function]}Logs.Arn}}"), only) for resource in resources}
    return pairs


def check(template, parameters):
    """Everything about variables, permissions and triggers that this module knows."""
    stack = Stack(template, parameters)
    deployed = {function for function, half in HALVES.items() if stack.condition(half)}
    functions = stack.of_type("AWS::Lambda::Function")
    assert set(functions) == {FUNCTIONS[function] for function in deployed}
    for function in deployed:
        assert set(environment(stack, function)) == VARIABLES[function], function
        assert permissions(stack, function) == needed(stack, function), function
        logical = FUNCTIONS[function]
        assert functions[logical]["LoggingConfig"]["LogGroup"] == f"{{{logical}Logs}}"
    # Nobody calls a function past its alias.
    check_routes(stack, deployed)
    check_queues(stack, deployed)
    check_topics(stack)


def check_routes(stack, deployed):
    expected = {}
    if "start-chat" in deployed:
        routes = WIDGET_ROUTES | (PREFLIGHT_ROUTES if stack.condition("CorsAtFunction") else set())
        expected |= dict.fromkeys(routes, "StartChat")
    if "receive-message" in deployed:
        expected |= dict.fromkeys(WEBHOOK_ROUTES, "ReceiveMessage")
    integrations = stack.of_type("AWS::ApiGatewayV2::Integration")
    served = {}
    for route in stack.of_type("AWS::ApiGatewayV2::Route").values():
        assert route["ApiId"] == "{Api}"
        integration = integrations[re.fullmatch(r"integrations/\{(\w+)\}", route["Target"])[1]]
        assert (integration["ApiId"], integration["IntegrationType"]) == ("{Api}", "AWS_PROXY")
        assert integration["PayloadFormatVersion"] == "2.0"
        served[route["RouteKey"]] = stack.function_of(integration["IntegrationUri"])
    assert served == expected
    allowed = {
        stack.function_of(permission["FunctionName"]): (permission["Principal"], permission["SourceArn"])
        for permission in stack.of_type("AWS::Lambda::Permission").values()
    }
    caller = ("apigateway.amazonaws.com", "arn:aws:execute-api:us-east-1:123456789012:{Api}/*")
    assert allowed == dict.fromkeys(expected.values(), caller)


def check_queues(stack, deployed):
    mapped = {}
    for mapping in stack.of_type("AWS::Lambda::EventSourceMapping").values():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["BatchSize"] == 10 and int(mapping["ScalingConfig"]["MaximumConcurrency"]) >= 2
        assert mapping.get("Enabled", True) is True
        window = 1 if mapping["EventSourceArn"] == "{ReplyQueue.Arn}" else 0
        assert mapping.get("MaximumBatchingWindowInSeconds", 0) == window
        mapped.setdefault(stack.function_of(mapping["FunctionName"]), set()).add(mapping["EventSourceArn"])
    for function in deployed:
        queues = {queue for queue, condition in MAPPINGS[function] if stack.condition(condition)}
        assert mapped.get(FUNCTIONS[function], set()) == queues, function


FILTER = {
    "$or": [
        {
            "Type": [{"anything-but": ["EVENT", "MESSAGEMETADATA"]}],
            "ParticipantRole": [{"anything-but": ["CUSTOMER"]}],
        },
        {"ContentType": ["application/vnd.amazonaws.connect.event.chat.ended"]},
        {"ContentType": ["application/vnd.amazonaws.connect.event.typing"], "ParticipantRole": ["AGENT"]},
    ]
}


def check_topics(stack):
    fed = {}
    for name, subscription in stack.of_type("AWS::SNS::Subscription").items():
        topic, queue = subscription["TopicArn"], subscription["Endpoint"]
        assert subscription["Protocol"] == "sqs"
        assert subscription.get("FilterPolicy") == (FILTER if topic == "{StreamingTopic}" else None)
        assert not subscription.get("RawMessageDelivery"), "10 attributes at most"
        fed[topic] = queue
        dead_letters = subscription["RedrivePolicy"]["deadLetterTargetArn"]
        assert sent_by(stack, topic) == {queue, dead_letters}, "SNS may not send to the queue"
        assert stack.raw[name]["DependsOn"] in stack.of_type("AWS::SQS::QueuePolicy")
    expected = {"{StreamingTopic}": "{ReplyQueue.Arn}"} if stack.condition("Messages") else {}
    if stack.condition("EndUserMessaging"):
        expected[stack.parameters["EndUserMessagingTopicArn"]] = "{EndUserMessagingQueue.Arn}"
    assert fed == expected
    if stack.condition("Messages"):
        (policy,) = [*stack.of_type("AWS::SNS::TopicPolicy").values()] or [None]
        assert policy, "Connect may not publish"
        assert policy["Topics"] == ["{StreamingTopic}"]
        assert policy["PolicyDocument"]["Statement"] == [
            {
                "Sid": "ConnectPublishes",
                "Effect": "Allow",
                "Principal": {"Service": "connect.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": "{StreamingTopic}",
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": "123456789012"},
                    "ArnEquals": {"aws:SourceArn": INSTANCE_ARN},
                },
            }
        ]


def sent_by(stack, topic):
    """The queues that a topic may send to."""
    found = set()
    for policy in stack.of_type("AWS::SQS::QueuePolicy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Condition"] == {"ArnEquals": {"aws:SourceArn": topic}}:
                assert statement["Effect"] == "Allow" and statement["Action"] == "sqs:SendMessage"
                assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
                assert {queue.replace("}", ".Arn}") for queue in policy["Queues"]} == set(statement["Resource"])
                found |= set(statement["Resource"])
    return found


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_the_template_has_what_the_contract_says(deployment):
    check(EXPANDED, DEPLOYMENTS[deployment])


def test_the_api_document_names_routes_that_exist():
    api = yaml.safe_load((ROOT / "openapi.yaml").read_text())["paths"]
    documented = {
        f"{method.upper()} {path}" for path, item in api.items() for method in item if method in ("get", "post", "put")
    }
    assert documented <= WIDGET_ROUTES | WEBHOOK_ROUTES


# ---- Ten mistakes ----------------------------------------------------------------------------------------------------


def properties(template, name):
    return template["Resources"][name]["Properties"]


def statement(template, role, sid):
    for one in properties(template, role)["Policies"][0]["PolicyDocument"]["Statement"]:
        one = one["Fn::If"][1] if "Fn::If" in one else one
        if one["Sid"] == sid:
            return one
    raise KeyError(sid)


MISTAKES = {
    "a variable is missing": lambda t: properties(t, "SendReply")["Environment"]["Variables"].pop("PUBLIC_BASE_URL"),
    "an action is missing": lambda t: statement(t, "DeliverMessageRole", "TakeMessages")["Action"].pop(),
    "any action is allowed": lambda t: statement(t, "ReceiveReplyRole", "ForwardReplies").update(Action="sqs:*"),
    "any resource is allowed": lambda t: statement(t, "SendReplyRole", "ReadSettings").update(Resource="*"),
    "start-chat may write the whole table": lambda t: statement(t, "StartChatRole", "RememberTokens").pop("Condition"),
    "a role has a managed policy": lambda t: properties(t, "SendReplyRole").update(ManagedPolicyArns=["arn:aws:iam::aws:policy/X"]),
    "a route is missing": lambda t: t["Resources"].pop("GetWebhookRoute"),
    "a route goes past the alias": lambda t: properties(t, "StartChatIntegration").update(
        IntegrationUri={"Fn::GetAtt": ["StartChat", "Arn"]}
    ),
    "partial failures are not reported": lambda t: properties(t, "SendReplyOutboundQueue").pop("FunctionResponseTypes"),
    "Connect may not publish": lambda t: t["Resources"].pop("StreamingTopicPolicy"),
}


@pytest.mark.parametrize("label", MISTAKES)
def test_a_mistake_is_noticed(label):
    template = copy.deepcopy(EXPANDED)
    MISTAKES[label](template)
    assert template != EXPANDED
    with pytest.raises((AssertionError, KeyError)):
        check(template, EVERYTHING)


# ---- Parameters ------------------------------------------------------------------------------------------------------


def test_each_parameter_is_described_constrained_and_grouped():
    groups = EXPANDED["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(EXPANDED["Parameters"])
    for name, rule in EXPANDED["Parameters"].items():
        assert rule["Description"], name
        assert {"AllowedPattern", "AllowedValues", "MinValue"} & set(rule), f"{name} takes anything"
        assert "AllowedPattern" not in rule or rule["ConstraintDescription"].startswith("must be"), name


@pytest.mark.parametrize("minutes", ["", "60", "99", "100", "999", "1440", "10000", "10079", "10080"])
def test_durations(minutes):
    variables = environment(Stack(EXPANDED, BOTH | {"ChatDurationMinutes": minutes}), "start-chat")
    assert variables["CHAT_DURATION_MINUTES"] == minutes


# Who answers preflights of these, if they are taken.
GATEWAY, FUNCTION = "API Gateway", "start-chat"


@pytest.mark.parametrize(
    ("label", "origins", "by"),
    [
        ("all", "*", GATEWAY),
        ("one", "https://shop.example", GATEWAY),
        ("several", "http://localhost:3000,https://shop.example", GATEWAY),
        ("an address", "http://127.0.0.1:8080", GATEWAY),
        ("another's default port", "https://shop.example:80,http://shop.example:443", GATEWAY),
        ("a port that begins like the default one", "https://shop.example:4430,http://shop.example:8080", GATEWAY),
        ("the first port", "https://shop.example:1", GATEWAY),
        ("the last port", "https://shop.example:65535", GATEWAY),
        ("a wildcard", "https://*.shop.example", FUNCTION),
        ("a wildcard among others", "https://shop.example,https://*.shop.example:8443", FUNCTION),
        ("an underscore", "https://my_shop.example", FUNCTION),
        ("Capacitor", "capacitor://localhost", FUNCTION),
        ("Ionic, last", "https://shop.example,http://localhost,ionic://localhost", FUNCTION),
        ("an extension, first", "chrome-extension://abcdef,https://shop.example", FUNCTION),
        ("a scheme that ends like one", "web+https://shop.example", FUNCTION),
        ("a wildcard of another scheme", "app://*.shop.example", FUNCTION),
        ("no scheme", "shop.example", None),
        ("no host", "https://", None),
        ("a scheme that begins with a digit", "1app://shop.example", None),
        ("a slash at the end", "https://shop.example/", None),
        ("a path", "https://shop.example/chat", None),
        ("upper case", "https://Shop.example", None),
        ("a space", "https://shop.example, https://b.example", None),
        ("a comma at the end", "https://shop.example,", None),
        ("a comma at the beginning", ",https://shop.example", None),
        ("two commas", "https://shop.example,,https://b.example", None),
        ("a star among others", "*,https://shop.example", None),
        ("a star among others, last", "https://shop.example,*", None),
        ("a star as host", "https://*", None),
        ("an empty label", "https://shop..example", None),
        ("a dot at the end", "https://shop.example.", None),
        ("the default port", "https://shop.example:443", None),
        ("http's default port", "http://shop.example:80", None),
        ("a default port, first", "https://shop.example:443,https://b.example", None),
        ("a default port, last", "https://b.example,http://shop.example:80", None),
        ("a wildcard's default port", "https://*.shop.example:443", None),
        ("no port", "https://shop.example:", None),
        ("port 0", "https://shop.example:0", None),
        ("a zero before the port", "https://shop.example:0443", None),
        ("a port too high", "https://shop.example:65536", None),
        ("a port too long", "https://shop.example:100000", None),
        ("IPv6", "https://[::1]:4000", None),
        ("user", "https://user@shop.example", None),
        ("what no page has", "null", None),
    ],
)
def test_origins(label, origins, by):
    parameters = WIDGET_ONLY | {"AllowedOrigins": origins}
    if by is None:
        with pytest.raises(Refused, match="AllowedOrigins"):
            Stack(EXPANDED, parameters)
        return
    stack = Stack(EXPANDED, parameters)
    cors = stack.of_type("AWS::ApiGatewayV2::Api")["Api"].get("CorsConfiguration")
    routes = {route["RouteKey"] for route in stack.of_type("AWS::ApiGatewayV2::Route").values()}
    if by is FUNCTION:
        assert cors is None and PREFLIGHT_ROUTES <= routes
    else:
        assert cors["AllowOrigins"] == origins.split(",")
        assert not PREFLIGHT_ROUTES & routes


def test_the_longest_lists_fit_into_lambdas_environment():
    flow = f"arn:aws-us-gov:connect:us-gov-west-1:{ACCOUNT}:instance/{INSTANCE}/contact-flow/{FLOW}"
    (most,) = re.findall(r"(\d+) at most", EXPANDED["Parameters"]["ExtraContactFlowArns"]["Description"])
    origins = ",".join(f"https://shop-{number:03}.example" for number in range(80))
    lists = {"AllowedOrigins": origins, "ExtraContactFlowArns": ",".join([flow] * int(most))}
    variables = environment(Stack(EXPANDED, EVERYTHING | lists), "start-chat")
    # Lambda quotas: 4 KB, "for all environment variables … in aggregate".
    assert sum(len(name) + len(str(value)) for name, value in variables.items()) <= 4096
    with pytest.raises(Refused, match="AllowedOrigins"):
        Stack(EXPANDED, EVERYTHING | lists | {"AllowedOrigins": origins + ",https://shop.example"})


def test_no_chat_starts_before_its_replies_have_a_way():
    assert set(EXPANDED["Resources"]["DeliverMessage"]["DependsOn"]) == {"StreamingTopicPolicy", "ReplySubscription"}


@pytest.mark.parametrize(
    ("label", "url", "taken"),
    [
        ("none", "", True),
        ("a host", "https://chat.shop.example", True),
        ("a host in upper case", "https://Chat.Shop.example", True),
        ("a prefix", "https://chat.shop.example/bridge/v1", True),
        ("a port", "https://chat.shop.example:8443/bridge", True),
        ("the last port", "https://chat.shop.example:65535", True),
        ("an underscore", "https://my_chat.shop.example", True),
        ("a prefix like the default port", "https://chat.shop.example/a:443", False),
        ("the default port", "https://chat.shop.example:443", False),
        ("the default port before a prefix", "https://chat.shop.example:443/bridge", False),
        ("port 0", "https://chat.shop.example:0", False),
        ("a port too high", "https://chat.shop.example:65536", False),
        ("a slash at the end", "https://chat.shop.example/", False),
        ("a slash after a prefix", "https://chat.shop.example/bridge/", False),
        ("not encrypted", "http://chat.shop.example", False),
        ("no scheme", "chat.shop.example", False),
        ("no host", "https://", False),
        ("an empty label", "https://chat..example", False),
        ("a query", "https://chat.shop.example/?a=b", False),
        ("a fragment", "https://chat.shop.example/#a", False),
        ("user and password", "https://a:b@chat.shop.example", False),
        ("IPv6", "https://[::1]", False),
    ],
)
def test_public_base_urls(label, url, taken):
    parameters = BOTH | {"PublicBaseUrl": url}
    if taken:
        assert environment(Stack(EXPANDED, parameters), "receive-message")["PUBLIC_BASE_URL"] == url
    else:
        with pytest.raises(Refused, match="PublicBaseUrl"):
            Stack(EXPANDED, parameters)


@pytest.mark.parametrize(
    "change",
    [
        {"AllowedOrigins": ""},
        {"EnableWidget": "false", "EnableMessages": "false"},
        {"SettingsSecretArn": ""},
        {"SettingsSecretArn": SECRET.removesuffix("-AbCdEf")},
        {"SingleUseTokens": "true"},
        {"ConnectInstanceId": INSTANCE_ARN},
        {"DisableExecuteApiEndpoint": "true"},
        {"SignedRequests": "true", "SettingsSecretArn": ""},
        {"ReplyPatienceSeconds": "0"},
        {"ChatStartsPerSecond": "0"},
        {"DeliveryReceipts": "some"},
        {"AttachmentExtensions": ".gif"},
        {"AttachmentMaxBytes": "104857601"},
        {"PermissionsBoundaryArn": "boundary"},
        {"ConnectContactFlowId": ""},
        {"ChatDurationMinutes": "0"},
        {"ChatDurationMinutes": "59"},
        {"ChatDurationMinutes": "10081"},
        {"ChatDurationMinutes": "20000"},
        {"DeliveryConcurrency": "1"},
        {"LogLevel": "WARN"},
        {"ExtraContactFlowArns": FLOW},
        {"KmsKeyArn": "alias/bridge"},
    ],
    ids=json.dumps,
)
def test_what_cannot_work_is_refused_at_once(change):
    Stack(EXPANDED, BOTH)
    with pytest.raises(Refused):
        Stack(EXPANDED, BOTH | change)


# ---- Versions --------------------------------------------------------------------------------------------------------


def versions(deployment_id):
    """Of each function: its version's logical id, and what the version is made from."""
    parameters = BOTH | {"DeploymentId": deployment_id}
    stack = Stack(expand(source(), parameters), parameters)
    names = {
        version["FunctionName"].strip("{}"): name for name, version in stack.of_type("AWS::Lambda::Version").items()
    }
    return names, stack.of_type("AWS::Lambda::Function")


def test_another_deployment_makes_new_versions():
    """A new version needs another name, and Lambda publishes none of a function that has not changed."""
    (names, functions), (other_names, other_functions) = versions("a" * 64), versions("b" * 64)
    assert set(names) == set(FUNCTIONS.values())
    for function in names:
        assert names[function] != other_names[function]
        assert functions[function]["Description"] != other_functions[function]["Description"]
        assert len(functions[function]["Description"]) <= 256
    assert versions("a" * 64) == (names, functions)


def test_web_requests_move_to_a_new_version_gradually():
    stack = Stack(EXPANDED, EVERYTHING)
    groups = stack.of_type("AWS::CodeDeploy::DeploymentGroup")
    assert set(groups) == {"StartChatDeploymentGroup", "ReceiveMessageDeploymentGroup"}
    for name, group in groups.items():
        watched = {alarm["Name"] for alarm in group["AlarmConfiguration"]["Alarms"]}
        errors = name.replace("DeploymentGroup", "ErrorsAlarm")
        assert watched == {f"{{Monitoring.Outputs.{one}}}" for one in ("ServerErrorsAlarm", errors)}
        assert group["ServiceRoleArn"] == "{DeploymentRole.Arn}"
        assert group["AutoRollbackConfiguration"]["Enabled"] is True
    for function in FUNCTIONS.values():
        assert EXPANDED["Resources"][f"{function}Aliaslive"]["Properties"]["Name"] == "live"
    assert set(Stack(EXPANDED, WIDGET_ONLY).of_type("AWS::CodeDeploy::DeploymentGroup")) == {"StartChatDeploymentGroup"}


# ---- The rest --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["widget", "messages", "both"])
def test_a_starter_file_asks_four_questions_at_most(name):
    written = yaml.safe_load((ROOT / "deploy" / f"{name}.yaml").read_text())
    assert 1 <= sum(value is None for value in written.values()) <= 4
    assert set(written) <= set(EXPANDED["Parameters"])


def test_start_chat_reads_no_credentials_of_providers():
    of_their_own = EVERYTHING | {"WidgetSecretArn": WIDGET_SECRET}
    stack = Stack(EXPANDED, of_their_own)
    assert environment(stack, "start-chat")["BRIDGE_SETTINGS_ARN"] == WIDGET_SECRET
    assert SECRET not in json.dumps(statements(stack, "start-chat"))
    stack = Stack(EXPANDED, EVERYTHING | {"WidgetSecretArn": ""})
    assert environment(stack, "start-chat")["BRIDGE_SETTINGS_ARN"] == SECRET
    assert environment(Stack(EXPANDED, BOTH), "start-chat")["BRIDGE_SETTINGS_ARN"] == ""


def test_every_role_has_the_boundary():
    roles = Stack(EXPANDED, EVERYTHING).of_type("AWS::IAM::Role")
    assert len(roles) == len(FUNCTIONS) + 1
    assert {role["PermissionsBoundary"] for role in roles.values()} == {EVERYTHING["PermissionsBoundaryArn"]}
    assert not any("PermissionsBoundary" in role for role in Stack(EXPANDED, BOTH).of_type("AWS::IAM::Role").values())


def test_the_gateways_cors():
    cors = Stack(EXPANDED, BOTH).of_type("AWS::ApiGatewayV2::Api")["Api"]["CorsConfiguration"]
    # `*` covers every header but Authorization (Fetch standard).
    assert cors["AllowHeaders"] == ["*", "authorization"]
    assert cors["AllowMethods"] == ["POST", "PUT", "OPTIONS"]
    assert cors["ExposeHeaders"] == ["retry-after", "x-amzn-errortype"]
    assert "AllowCredentials" not in cors


def test_throttles():
    stage = Stack(EXPANDED, BOTH).of_type("AWS::ApiGatewayV2::Stage")["ApiStage"]
    assert set(stage["RouteSettings"]) == WIDGET_ROUTES
    for settings in stage["RouteSettings"].values():
        assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == ("3", "5")
    faster = Stack(EXPANDED, BOTH | {"EndChatRateLimit": "9"}).of_type("AWS::ApiGatewayV2::Stage")["ApiStage"]
    rates = {route: settings["ThrottlingRateLimit"] for route, settings in faster["RouteSettings"].items()}
    assert {route for route, rate in rates.items() if rate == "9"} == {"POST /chat/end"}, "a throttle of its own"
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == "200"
    # A route's settings are made after the route.
    variables = {value.strip("{}") for value in stage["StageVariables"].values()}
    routes = Stack(EXPANDED, BOTH).of_type("AWS::ApiGatewayV2::Route")
    assert {routes[name]["RouteKey"] for name in variables} == WIDGET_ROUTES
    # Metrics by route are billed as custom ones, and nothing here looks at them.
    assert "DetailedMetricsEnabled" not in json.dumps(stage)
    stage = Stack(EXPANDED, MESSAGES_ONLY).of_type("AWS::ApiGatewayV2::Stage")["ApiStage"]
    assert "RouteSettings" not in stage and "StageVariables" not in stage


def test_access_logs_are_json_and_hold_no_address_path_or_query():
    stage = Stack(EXPANDED, BOTH).of_type("AWS::ApiGatewayV2::Stage")["ApiStage"]
    line = json.loads(stage["AccessLogSettings"]["Format"])
    assert {"requestId", "routeKey", "status", "latencyMs", "integrationError"} <= set(line)
    assert not re.search(r"sourceIp|\$context\.path|queryString|userAgent", stage["AccessLogSettings"]["Format"])
    (throttled,) = Stack(EXPANDED, BOTH).of_type("AWS::Logs::MetricFilter").values()
    (metric,) = throttled["MetricTransformations"]
    assert {line[dimension["Value"].removeprefix("$.")] for dimension in metric["Dimensions"]} == {"$context.apiId"}
    assert set(re.findall(r"\$\.(\w+)", throttled["FilterPattern"])) <= set(line)


def test_logs_are_indexed():
    groups = Stack(EXPANDED, BOTH).of_type("AWS::Logs::LogGroup")
    for function in FUNCTIONS.values():
        assert groups[f"{function}Logs"]["FieldIndexPolicies"] == [{"Fields": ["contact_id", "request_id"]}]


@pytest.mark.parametrize("deployment", ["both", "everything"])
def test_queues(deployment):
    stack = Stack(EXPANDED, DEPLOYMENTS[deployment])
    queues = stack.of_type("AWS::SQS::Queue")
    functions = stack.of_type("AWS::Lambda::Function")
    fifo = {"FifoQueue": True, "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
    for mapping in stack.of_type("AWS::Lambda::EventSourceMapping").values():
        name = mapping["EventSourceArn"].strip("{}").removesuffix(".Arn")
        queue = queues[name]
        # "Using Lambda with Amazon SQS": six times the function's timeout.
        assert queue["VisibilityTimeout"] >= 6 * functions[stack.function_of(mapping["FunctionName"])]["Timeout"]
        assert queue["RedrivePolicy"]["maxReceiveCount"] == 1000
        dead = queues[queue["RedrivePolicy"]["deadLetterTargetArn"].strip("{}").removesuffix(".Arn")]
        for one in (queue, dead):
            assert one["MessageRetentionPeriod"] == 14 * 24 * 60 * 60
            assert one.get("FifoQueue", False) == (name in ("InboundQueue", "OutboundQueue"))
            assert (fifo.items() <= one.items()) == (name in ("InboundQueue", "OutboundQueue"))
    # Said either way, so that a queue moves from one to the other.
    for queue in queues.values():
        assert queue["SqsManagedSseEnabled"] is (deployment == "both")
        assert queue.get("KmsMasterKeyId") == (None if deployment == "both" else KEY)
    # What a function can't handle for good goes where its queue's own dead letters go.
    for function in ("deliver-message", "receive-reply", "send-reply"):
        ((queue, _),) = MAPPINGS[function]
        dead = queues[queue.strip("{}").removesuffix(".Arn")]["RedrivePolicy"]["deadLetterTargetArn"]
        assert environment(stack, function)["DEAD_LETTER_QUEUE_URL"] == dead.replace(".Arn", "")


def test_what_holds_data_stays():
    for name, resource in EXPANDED["Resources"].items():
        if resource["Type"] in ("AWS::SQS::Queue", "AWS::DynamoDB::Table"):
            assert resource["DeletionPolicy"].startswith("Retain"), name
            assert resource["UpdateReplacePolicy"] == "Retain", name


def test_the_table():
    table = Stack(EXPANDED, BOTH).of_type("AWS::DynamoDB::Table")["Conversations"]
    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert table["AttributeDefinitions"] == [{"AttributeName": "pk", "AttributeType": "S"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionProtectionEnabled"] is True
    assert table["BillingMode"] == "PAY_PER_REQUEST" and table["SSESpecification"]["SSEEnabled"] is True
    assert "Conversations" not in Stack(EXPANDED, WIDGET_ONLY).resources


def test_there_is_one_url():
    base = "https://{Api}.execute-api.us-east-1.amazonaws.com"
    assert Stack(EXPANDED, BOTH).outputs["Url"] == base
    assert environment(Stack(EXPANDED, BOTH), "send-reply")["PUBLIC_BASE_URL"] == base
    assert Stack(EXPANDED, EVERYTHING).outputs["Url"] == "https://chat.shop.example/bridge"
    assert [name for name in EXPANDED["Outputs"] if "Url" in name] == ["Url"]
    for output in EXPANDED["Outputs"].values():
        assert output["Description"]


def test_a_number_is_given_its_flow_by_arn():
    model = botocore.session.get_session().get_service_model("connect").operation_model("AssociateFlow")
    command = Stack(EXPANDED, EVERYTHING).outputs["AssociateSmsNumberCommand"].split()
    given = dict(zip(command[3::2], command[4::2], strict=False))
    assert model.input_shape.members["FlowId"].name == "ARN"
    assert given["--flow-id"] == f"{INSTANCE_ARN}/contact-flow/{FLOW}"
    assert given["--instance-id"] == INSTANCE_ARN.rsplit("/", 1)[1]


def test_no_partition_is_taken_for_granted():
    template = json.dumps([source()["Resources"], EXPANDED["Outputs"], MONITORING])
    assert not re.search(r"arn:aws[:-]|console\.aws\.|amazonaws\.com/|\.amazonaws\.com(?!\")", template)


def test_each_function_is_built_from_its_binary():
    for function, logical in FUNCTIONS.items():
        resource = source()["Resources"][logical]
        assert resource["Metadata"] == {"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": function}}
        # The workspace itself: a member's folder would unify features, and compile the AWS SDK, once more each.
        assert resource["Properties"]["CodeUri"] == "."
        assert resource["Properties"]["AutoPublishCodeSha256"] == {"Ref": "DeploymentId"}
        properties = EXPANDED["Resources"][logical]["Properties"]
        assert (properties["Runtime"], properties["Handler"]) == ("provided.al2023", "bootstrap")
        assert properties["TracingConfig"] == {"Mode": "Active"}
        # API Gateway waits 30 s.
        assert function not in ("start-chat", "receive-message") or properties["Timeout"] < 30
