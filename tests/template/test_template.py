"""The template against the code: variables, permissions, triggers; and each of them taken out."""

import copy
import json
import os
import re
import subprocess

import botocore.session
import needs
import pytest
import yaml
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
    ROOT,
    SECRET,
    SIGNED,
    WIDGET_ONLY,
    Refused,
    Stack,
    expand,
    source,
)

EXPANDED = expand(source())
FUNCTIONS = {
    "start-chat": "StartChat",
    "receive-message": "ReceiveMessage",
    "deliver-message": "DeliverMessage",
    "send-reply": "SendReply",
}
HALVES = dict.fromkeys(FUNCTIONS, "Messages") | {"start-chat": "Widget"}

# What each AWS operation that the code calls needs, and who calls it: IAM action, function, resource, and the condition
# of the template under which it is called.
CHATS = [f"{INSTANCE_ARN}/contact-flow/{FLOW}", f"{INSTANCE_ARN}/contact/*"]
TABLE, INBOUND, INBOUND_DEAD, REPLY, REPLY_DEAD = (
    ["{Conversations.Arn}"],
    ["{InboundQueue.Arn}"],
    ["{InboundDeadLetters.Arn}"],
    ["{ReplyQueue.Arn}"],
    ["{ReplyDeadLetters.Arn}"],
)
OPERATIONS = {
    "connect:StartChatContact": [
        ("connect:StartChatContact", "start-chat", CHATS, "Widget"),
        ("connect:StartChatContact", "start-chat", "ExtraContactFlowArns", "HasExtraFlows"),
        ("connect:StartChatContact", "deliver-message", CHATS, "Messages"),
        ("connect:StartChatContact", "deliver-message", "NumberContactFlowArns", "HasNumberFlows"),
    ],
    # It knows no resources.
    "connect:SendChatIntegrationEvent": [
        ("connect:SendChatIntegrationEvent", "deliver-message", ["*"], "IntegrationEvents")
    ],
    # The Participant Service takes the participant's token and no signature of ours.
    "connectparticipant:CreateParticipantConnection": [],
    "connectparticipant:DisconnectParticipant": [],
    "connectparticipant:SendMessage": [],
    "dynamodb:BatchGetItem": [
        ("dynamodb:BatchGetItem", "deliver-message", TABLE, "Messages"),
        ("dynamodb:BatchGetItem", "send-reply", TABLE, "Messages"),
    ],
    "dynamodb:PutItem": [
        ("dynamodb:PutItem", "start-chat", TABLE, "SingleUse"),
        ("dynamodb:PutItem", "deliver-message", TABLE, "Messages"),
        ("dynamodb:PutItem", "send-reply", TABLE, "Messages"),
    ],
    # What a transaction does besides.
    "dynamodb:DeleteItem": [
        ("dynamodb:DeleteItem", "deliver-message", TABLE, "Messages"),
        ("dynamodb:DeleteItem", "send-reply", TABLE, "Messages"),
    ],
    "dynamodb:ConditionCheckItem": [("dynamodb:ConditionCheckItem", "send-reply", TABLE, "Messages")],
    "pinpointsmsvoicev2:SendTextMessage": [
        ("sms-voice:SendTextMessage", "send-reply", "SmsOriginationArns", "HasSmsOrigination")
    ],
    "secretsmanager:GetSecretValue": [
        ("secretsmanager:GetSecretValue", "start-chat", [SECRET], "Signed"),
        ("secretsmanager:GetSecretValue", "receive-message", [SECRET], "Messages"),
        ("secretsmanager:GetSecretValue", "send-reply", [SECRET], "Messages"),
    ],
    "sns:ConfirmSubscription": [("sns:ConfirmSubscription", "receive-message", "HttpsTopicArns", "HasHttpsTopics")],
    "socialmessaging:SendWhatsAppMessage": [
        ("social-messaging:SendWhatsAppMessage", "send-reply", "WhatsAppPhoneNumberArns", "HasWhatsApp")
    ],
    "sqs:ChangeMessageVisibilityBatch": [
        ("sqs:ChangeMessageVisibility", "deliver-message", INBOUND, "Messages"),
        ("sqs:ChangeMessageVisibility", "send-reply", REPLY, "Messages"),
    ],
    "sqs:GetQueueUrl": [
        ("sqs:GetQueueUrl", "deliver-message", INBOUND, "Messages"),
        ("sqs:GetQueueUrl", "send-reply", REPLY, "Messages"),
    ],
    "sqs:SendMessage": [
        ("sqs:SendMessage", "deliver-message", INBOUND_DEAD, "Messages"),
        # What waited for its other parts.
        ("sqs:SendMessage", "deliver-message", INBOUND, "Messages"),
        ("sqs:SendMessage", "send-reply", REPLY_DEAD, "Messages"),
    ],
    "sqs:SendMessageBatch": [("sqs:SendMessage", "receive-message", INBOUND, "Messages")],
}
# What no call in the code needs, but Lambda on its behalf. With a key: what SQS, DynamoDB and Secrets Manager do with it.
TAKE = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
LAMBDA = [
    *((action, "receive-message", ["{EndUserMessagingQueue.Arn}"], "EndUserMessaging") for action in TAKE),
    *((action, "deliver-message", INBOUND, "Messages") for action in TAKE),
    *((action, "send-reply", REPLY, "Messages") for action in TAKE),
    *(
        (action, function, [f"{{{FUNCTIONS[function]}Logs.Arn}}"], half)
        for function, half in HALVES.items()
        for action in ("logs:CreateLogStream", "logs:PutLogEvents")
    ),
    # X-Ray knows no resources.
    *(
        (action, function, ["*"], half)
        for function, half in HALVES.items()
        for action in ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
    ),
    ("kms:Decrypt", "start-chat", [KEY], "SignedWithKey"),
    *(
        (action, function, [KEY], "HasKey")
        for function in ("receive-message", "deliver-message", "send-reply")
        for action in ("kms:Decrypt", "kms:GenerateDataKey")
    ),
]

# The routes that section 3 of the design names, and the function behind each.
WIDGET_ROUTES = {"POST /chat", "POST /", "POST /{proxy+}", "POST /chat/end", "PUT /contact/chat"}
PREFLIGHT_ROUTES = {"OPTIONS /", "OPTIONS /{proxy+}"}
WEBHOOK_ROUTES = {
    f"{method} /sms/{path}"
    for method in ("POST", "GET")
    for path in ("{provider}", "{provider}/{account}", "{proxy+}")
}
# The queues that feed a function.
MAPPINGS = {
    "receive-message": {("{EndUserMessagingQueue.Arn}", "EndUserMessaging")},
    "deliver-message": {("{InboundQueue.Arn}", "Messages")},
    "send-reply": {("{ReplyQueue.Arn}", "Messages")},
    "start-chat": set(),
}


def listed(value):
    return value if isinstance(value, list) else [value]


def environment(stack, function):
    return stack.of_type("AWS::Lambda::Function")[FUNCTIONS[function]]["Environment"]["Variables"]


def permissions(stack, function):
    """(action, resource), of everything that the function's role allows."""
    role = stack.of_type("AWS::Lambda::Function")[FUNCTIONS[function]]["Role"]
    role = stack.of_type("AWS::IAM::Role")[role.strip("{}").removesuffix(".Arn")]
    assert role["AssumeRolePolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]
    assert "ManagedPolicyArns" not in role, "AWS's own policies allow any resource"
    statements = [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]
    found = []
    for statement in statements:
        assert set(statement) == {"Sid", "Effect", "Action", "Resource"} and statement["Effect"] == "Allow", statement
        found += [(action, at) for action in listed(statement["Action"]) for at in listed(statement["Resource"])]
    assert len(found) == len(set(found)), "something is allowed twice"
    return set(found)


def needed(stack, function):
    pairs = set()
    for action, caller, resources, condition in [*(need for many in OPERATIONS.values() for need in many), *LAMBDA]:
        if caller == function and stack.condition(condition):
            resources = stack.parameters[resources] if isinstance(resources, str) else resources
            pairs |= {(action, resource) for resource in resources}
    return pairs


def check(template, parameters):
    """Everything about variables, permissions and triggers that this module knows."""
    stack = Stack(template, parameters)
    deployed = {function for function, half in HALVES.items() if stack.condition(half)}
    functions = stack.of_type("AWS::Lambda::Function")
    assert set(functions) == {FUNCTIONS[function] for function in deployed}
    for function in deployed:
        assert set(environment(stack, function)) == needs.variables(function), function
        assert permissions(stack, function) == needed(stack, function), function
        logical = FUNCTIONS[function]
        assert functions[logical]["LoggingConfig"]["LogGroup"] == f"{{{logical}Logs}}"

    # Whatever a function is pointed at, it may use, and nothing else.
    for function in deployed & {"receive-message", "deliver-message", "send-reply"}:
        variables = environment(stack, function)
        for variable, action in [
            ("INBOUND_QUEUE_URL", "sqs:SendMessage"),
            ("DEAD_LETTER_QUEUE_URL", "sqs:SendMessage"),
            ("CONVERSATIONS_TABLE", "dynamodb:PutItem"),
        ]:
            if variable in variables:
                pair = (action, variables[variable].replace("}", ".Arn}"))
                assert pair in permissions(stack, function), f"{function} may not use {variable}"

    # Triggers: routes.
    expected = {}
    if "start-chat" in deployed:
        routes = WIDGET_ROUTES | (PREFLIGHT_ROUTES if stack.condition("CorsAtFunction") else set())
        expected |= {route: "start-chat" for route in routes}
    if "receive-message" in deployed:
        expected |= {route: "receive-message" for route in WEBHOOK_ROUTES}
    integrations = stack.of_type("AWS::ApiGatewayV2::Integration")
    served = {}
    for route in stack.of_type("AWS::ApiGatewayV2::Route").values():
        assert route["ApiId"] == "{Api}"
        integration = integrations[re.fullmatch(r"integrations/\{(\w+)\}", route["Target"])[1]]
        assert (integration["ApiId"], integration["IntegrationType"]) == ("{Api}", "AWS_PROXY")
        assert integration["PayloadFormatVersion"] == "2.0"
        served[route["RouteKey"]] = integration["IntegrationUri"]
    assert served == {route: f"{{{FUNCTIONS[function]}.Arn}}" for route, function in expected.items()}
    for function in set(expected.values()):
        allowed = [
            permission
            for permission in stack.of_type("AWS::Lambda::Permission").values()
            if permission["FunctionName"] == f"{{{FUNCTIONS[function]}}}"
        ]
        assert [(permission["Principal"], permission["SourceArn"]) for permission in allowed] == [
            ("apigateway.amazonaws.com", "arn:aws:execute-api:us-east-1:123456789012:{Api}/*")
        ]

    # Triggers: queues.
    mapped = {}
    for mapping in stack.of_type("AWS::Lambda::EventSourceMapping").values():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["BatchSize"] == 10 and int(mapping["ScalingConfig"]["MaximumConcurrency"]) >= 2
        assert mapping.get("Enabled", True) is True
        mapped.setdefault(mapping["FunctionName"], set()).add(mapping["EventSourceArn"])
    for function in deployed:
        queues = {queue for queue, condition in MAPPINGS[function] if stack.condition(condition)}
        assert mapped.get(f"{{{FUNCTIONS[function]}}}", set()) == queues, function

    # Triggers: what feeds the queues.
    fed = {}
    for name, subscription in stack.of_type("AWS::SNS::Subscription").items():
        assert subscription["Protocol"] == "sqs" and "FilterPolicy" not in subscription
        assert not subscription.get("RawMessageDelivery"), "10 attributes at most"
        topic, queue = subscription["TopicArn"], subscription["Endpoint"]
        fed[topic] = queue
        put_aside = subscription["RedrivePolicy"]["deadLetterTargetArn"]
        assert sent_by(stack, topic) == {queue, put_aside}, "SNS may not send to the queue"
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
def test_the_template_has_what_the_code_reads_and_calls(deployment):
    check(EXPANDED, DEPLOYMENTS[deployment])


def test_the_lists_above_are_whole():
    assert needs.sdk_crates() == set(needs.SERVICES), "name the new crate's service"
    for function in FUNCTIONS:
        callers = {name for name, many in OPERATIONS.items() if function in [caller for _, caller, _, _ in many]}
        free = {name for name, many in OPERATIONS.items() if not many}
        assert needs.operations(function) - free == callers, f"say what {function}'s calls need"
    called = set.union(*map(needs.operations, FUNCTIONS))
    assert called == set(OPERATIONS)
    assert needs.every_operation() - called == {needs.TRANSACTION}, "a call that no function seems to reach"
    assert set.union(*map(needs.variables, FUNCTIONS)) | set(needs.UNSET) == needs.every_variable()
    crates = {path.parent.name for path in ROOT.glob("functions/*/Cargo.toml")}
    assert crates == set(FUNCTIONS)
    api = yaml.safe_load((ROOT / "openapi.yaml").read_text())["paths"]
    documented = {
        f"{method.upper()} {path}" for path, item in api.items() for method in item if method in ("get", "post", "put")
    }
    assert documented <= WIDGET_ROUTES | WEBHOOK_ROUTES


# ---- Mutations -------------------------------------------------------------------------------------------------------


def statements_of(template, function):
    """The statements of a function's role as they are written, with those under a condition."""
    for policy in template["Resources"][f"{FUNCTIONS[function]}Role"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def mutations():
    """(label, change): the template with one thing taken out of it, or added to it."""
    for function, logical in FUNCTIONS.items():
        for variable in EXPANDED["Resources"][logical]["Properties"]["Environment"]["Variables"]:

            def without(template, logical=logical, variable=variable):
                del template["Resources"][logical]["Properties"]["Environment"]["Variables"][variable]

            yield f"{function} without {variable}", without

        def with_more(template, logical=logical):
            template["Resources"][logical]["Properties"]["Environment"]["Variables"]["MORE"] = "x"

        yield f"{function} with another variable", with_more
        for number, statement in enumerate(statements_of(EXPANDED, function)):
            for action in listed(statement["Action"]):

                def without(template, function=function, number=number, action=action):
                    statement = list(statements_of(template, function))[number]
                    statement["Action"] = [kept for kept in listed(statement["Action"]) if kept != action]

                yield f"{function} without {action} of {statement['Sid']}", without

            for what, change in [
                ("any action", {"Action": ["*"]}),
                ("any of the service's actions", {"Action": [listed(statement["Action"])[0].split(":")[0] + ":*"]}),
                ("one action more", {"Action": [*listed(statement["Action"]), "sqs:PurgeQueue"]}),
                ("another resource", {"Resource": "arn:aws:sqs:us-east-1:123456789012:other"}),
                ("any resource", {"Resource": "*"}),
                ("a denial", {"Effect": "Deny"}),
            ]:
                if all(statement[name] == value for name, value in change.items()):
                    continue

                def changed(template, function=function, number=number, change=change):
                    list(statements_of(template, function))[number].update(change)

                yield f"{function} with {what} in {statement['Sid']}", changed

        def managed(template, logical=logical):
            policies = ["arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole"]
            template["Resources"][f"{logical}Role"]["Properties"]["ManagedPolicyArns"] = policies

        yield f"{function} with a managed policy", managed
    triggers = [
        "AWS::ApiGatewayV2::Integration",
        "AWS::ApiGatewayV2::Route",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Permission",
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
    ]
    for name, resource in EXPANDED["Resources"].items():
        if resource["Type"] in triggers:

            def without(template, name=name):
                del template["Resources"][name]

            yield f"no {name}", without
        if resource["Type"] == "AWS::Lambda::EventSourceMapping":
            for what in ("FunctionResponseTypes", "ScalingConfig", "BatchSize"):

                def without(template, name=name, what=what):
                    del template["Resources"][name]["Properties"][what]

                yield f"{name} without {what}", without


MUTATIONS = dict(mutations())


@pytest.mark.parametrize("label", MUTATIONS)
def test_a_change_is_noticed(label):
    template = copy.deepcopy(EXPANDED)
    MUTATIONS[label](template)
    assert template != EXPANDED
    with pytest.raises((AssertionError, KeyError)):
        check(template, EVERYTHING)


def test_there_are_mutations():
    assert len(MUTATIONS) > 150


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


def test_no_chat_begins_before_its_answers_have_a_way():
    assert set(EXPANDED["Resources"]["DeliverMessage"]["DependsOn"]) == {"StreamingTopicPolicy", "ReplySubscription"}


def test_no_origins_are_taken_that_the_code_refuses():
    taken, refused = needs.origins()
    assert len(taken) > 3 and len(refused) > 5
    pattern = EXPANDED["Parameters"]["AllowedOrigins"]["AllowedPattern"]
    for origins in refused:
        assert not re.fullmatch(pattern, origins), origins
    for origin in taken:
        # "not IPv6 addresses", says its description.
        assert bool(re.fullmatch(pattern, origin)) == ("[" not in origin), origin


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


def test_signed_requests_need_settings():
    with pytest.raises(Refused):
        Stack(EXPANDED, SIGNED | {"SettingsSecretArn": ""})


# ---- The rest --------------------------------------------------------------------------------------------------------


def test_the_gateways_cors_is_the_functions():
    cors = Stack(EXPANDED, BOTH).of_type("AWS::ApiGatewayV2::Api")["Api"]["CorsConfiguration"]
    code = needs.cors()
    assert ", ".join(cors["AllowMethods"]) == code["METHODS"]
    assert ", ".join(cors["AllowHeaders"]) == code["HEADERS"]
    assert ", ".join(cors["ExposeHeaders"]) == code["EXPOSED"]
    assert str(cors["MaxAge"]) == code["MAX_AGE"]
    assert "AllowCredentials" not in cors


def test_throttles():
    stage = Stack(EXPANDED, BOTH).of_type("AWS::ApiGatewayV2::Stage")["ApiStage"]
    starts = WIDGET_ROUTES - {"POST /chat/end"}
    assert set(stage["RouteSettings"]) == starts, "every route that starts chats"
    for settings in stage["RouteSettings"].values():
        assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == ("3", "5")
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == "200"
    # Without the routes there would be nothing to set.
    variables = {value.strip("{}") for value in stage["StageVariables"].values()}
    routes = Stack(EXPANDED, BOTH).of_type("AWS::ApiGatewayV2::Route")
    assert {routes[name]["RouteKey"] for name in variables} == starts
    # Metrics by route are billed as one's own, and nothing here looks at them.
    assert "DetailedMetricsEnabled" not in json.dumps(stage)
    stage = Stack(EXPANDED, MESSAGES_ONLY).of_type("AWS::ApiGatewayV2::Stage")["ApiStage"]
    assert "RouteSettings" not in stage and "StageVariables" not in stage


def test_access_logs_are_json_and_hold_no_address_path_or_query():
    stage = Stack(EXPANDED, BOTH).of_type("AWS::ApiGatewayV2::Stage")["ApiStage"]
    line = json.loads(stage["AccessLogSettings"]["Format"])
    assert {"requestId", "routeKey", "status", "latencyMs", "integrationError"} <= set(line)
    assert not re.search(r"sourceIp|\$context\.path|queryString|userAgent", stage["AccessLogSettings"]["Format"])


def test_queues():
    stack = Stack(EXPANDED, EVERYTHING)
    queues = stack.of_type("AWS::SQS::Queue")
    functions = stack.of_type("AWS::Lambda::Function")
    fifo = {"FifoQueue": True, "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
    for mapping in stack.of_type("AWS::Lambda::EventSourceMapping").values():
        name = mapping["EventSourceArn"].strip("{}").removesuffix(".Arn")
        queue = queues[name]
        # "Using Lambda with Amazon SQS": six times the function's timeout.
        assert queue["VisibilityTimeout"] >= 6 * functions[mapping["FunctionName"].strip("{}")]["Timeout"]
        assert queue["RedrivePolicy"]["maxReceiveCount"] == 1000
        dead = queues[queue["RedrivePolicy"]["deadLetterTargetArn"].strip("{}").removesuffix(".Arn")]
        for one in (queue, dead):
            assert one["MessageRetentionPeriod"] == 14 * 24 * 60 * 60
            assert one.get("FifoQueue", False) == (name == "InboundQueue")
            assert (fifo.items() <= one.items()) == (name == "InboundQueue")
            assert one["KmsMasterKeyId"] == KEY
    assert len(queues) == 6
    for queue in Stack(EXPANDED, BOTH).of_type("AWS::SQS::Queue").values():
        assert queue["SqsManagedSseEnabled"] is True and "KmsMasterKeyId" not in queue


def test_what_holds_data_stays():
    for name, resource in EXPANDED["Resources"].items():
        if resource["Type"] in ("AWS::SQS::Queue", "AWS::DynamoDB::Table"):
            assert resource["DeletionPolicy"] == "RetainExceptOnCreate", name
            assert resource["UpdateReplacePolicy"] == "Retain", name


def test_the_table():
    table = Stack(EXPANDED, BOTH).of_type("AWS::DynamoDB::Table")["Conversations"]
    source = (needs.SHARED / "aws" / "table.rs").read_text()
    (key,) = re.findall(r'const KEY: &str = "(\w+)"', source)
    (expiry,) = re.findall(r'const EXPIRES_AT: &str = "(\w+)"', source)
    assert table["KeySchema"] == [{"AttributeName": key, "KeyType": "HASH"}]
    assert table["AttributeDefinitions"] == [{"AttributeName": key, "AttributeType": "S"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": expiry, "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST" and table["SSESpecification"]["SSEEnabled"] is True
    assert "Conversations" not in Stack(EXPANDED, WIDGET_ONLY).resources


def measured(alarm):
    """The metrics of an alarm that does sums: one result, from metrics that are all used in it."""
    assert not {"Namespace", "Dimensions", "Statistic", "ExtendedStatistic", "Period"} & set(alarm)
    (result,) = [query for query in alarm["Metrics"] if query.get("ReturnData", True)]
    found = [query for query in alarm["Metrics"] if "MetricStat" in query]
    assert set(re.findall(r"[a-z]\w*", result["Expression"])) == {query["Id"] for query in found}
    return [query["MetricStat"]["Metric"] for query in found]


@pytest.mark.parametrize("deployment", ["both", "everything"])
def test_alarms_watch_what_there_is(deployment):
    stack = Stack(EXPANDED, DEPLOYMENTS[deployment])
    alarms = stack.of_type("AWS::CloudWatch::Alarm")
    watched = set()
    for name, alarm in alarms.items():
        assert alarm["TreatMissingData"] == "notBreaching" and alarm["AlarmDescription"], name
        metrics = [alarm] if "MetricName" in alarm else measured(alarm)
        for metric in metrics:
            dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric["Dimensions"]}
            if metric["Namespace"] == "ConnectChatBridge":
                assert metric["MetricName"] in needs.metrics(), name
                assert dimensions["FunctionName"].strip("{}") in FUNCTIONS.values(), name
                assert set(dimensions) <= set(needs.dimensions()), name
                assert dimensions.get("code", "INTERNAL") in needs.codes(), name
            watched |= {(metric["MetricName"], value) for value in dimensions.values()}
        actions = [stack.parameters["AlarmTopicArn"]] if deployment == "everything" else None
        assert alarm.get("AlarmActions") == alarm.get("OKActions") == actions, name
    for logical in FUNCTIONS.values():
        assert {("Errors", f"{{{logical}}}"), ("Throttles", f"{{{logical}}}")} <= watched
    for queue in stack.of_type("AWS::SQS::Queue"):
        is_dead = queue.endswith("DeadLetters")
        metric = "ApproximateNumberOfMessagesVisible" if is_dead else "ApproximateAgeOfOldestMessage"
        assert (metric, f"{{{queue}.QueueName}}") in watched
    for code in ("UNVERIFIED", "CHAT_QUOTA_EXCEEDED", "THROTTLED", "CONNECT_MISCONFIGURED"):
        assert any(value == code for _, value in watched), code
    assert ("5xx", "{Api}") in watched
    # In milliseconds, as it is published, against seconds.
    waits = alarms["RepliesWaitAlarm"]
    assert [metric.get("Expression") for metric in waits["Metrics"]] == [None, "waited/1000"]
    assert ("QueueTime", "{SendReply}") in watched and "QueueTime" in needs.milliseconds()
    assert waits["Threshold"] == alarms["ReplyQueueAgeAlarm"]["Threshold"] == "900"
    # No reply waits longer for its next try, so there is one in each period.
    assert waits["Metrics"][0]["MetricStat"]["Period"] >= needs.longest_wait()
    manual = (ROOT / "docs" / "operations.md").read_text()
    for name in alarms:
        assert f"`{name}`" in manual, f"docs/operations.md doesn't say what to do about {name}"


def test_the_manual_knows_each_reason_of_a_dead_letter():
    source = needs.without_tests(needs.SHARED / "disposition.rs")
    reasons = set(re.findall(r'(?:DeadLetter|Some)\(\(?"(\w+)"', source))
    assert {"malformed", "connect_misconfigured"} <= reasons
    manual = (ROOT / "docs" / "operations.md").read_text()
    # An answer to a web request.
    for reason in reasons - {"refused"}:
        assert re.search(rf"^\|[^|]*`{reason}`", manual, re.M), reason


@pytest.mark.parametrize(
    ("kind", "alarm", "more"),
    [
        ("ConnectMisconfigured", "DeliveryMisconfiguredAlarm", "about half an hour ({} to {} minutes)"),
        ("SettingsUnavailable", None, "about half an hour"),
        ("SendMisconfigured", "ReplyMisconfiguredAlarm", "{} to {} minutes"),
    ],
)
def test_it_is_said_when_the_owners_faults_become_dead_letters(kind, alarm, more):
    least, most = needs.minutes_of_patience(kind)
    assert "half an hour" not in more or least < 30 < most
    manual = (ROOT / "docs" / "operations.md").read_text()
    (row,) = re.findall(rf"^\|[^|]*`{alarm or 'SettingsAlarm'}`.*", manual, re.M)
    assert f"dead letters after {more.format(least, most)}" in row
    if alarm:
        description = EXPANDED["Resources"][alarm]["Properties"]["AlarmDescription"]
        assert f"dead letters after {least} to {most} minutes" in description


SEARCH = re.compile(
    r'SEARCH\(\'\{ConnectChatBridge,FunctionName,code\} MetricName="(\w+)" FunctionName="\{(\w+)\}"\',\'Sum\',300\)'
)


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_the_dashboard_shows_what_there_is(deployment):
    stack = Stack(EXPANDED, DEPLOYMENTS[deployment])
    widgets = json.loads(stack.of_type("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"])["widgets"]
    shown, queues = set(), set()
    for widget in widgets:
        for metric in widget["properties"]["metrics"]:
            if isinstance(metric[0], dict):
                # "Search expression syntax", CloudWatch user guide.
                search = SEARCH.fullmatch(metric[0]["expression"])
                assert search, metric[0]["expression"]
                assert search[2] in stack.resources
                shown.add(search[1])
            elif metric[0] == "ConnectChatBridge":
                assert metric[2] == "FunctionName" and metric[3].strip("{}") in stack.resources
                shown.add(metric[1])
            elif metric[:2] == ["AWS/SQS", "ApproximateNumberOfMessagesVisible"]:
                queues.add(metric[3])
    assert shown <= needs.metrics()
    assert queues == {f"{{{name}.QueueName}}" for name in stack.of_type("AWS::SQS::Queue")}
    assert bool(shown & {"ChatStarted"}) == stack.condition("Widget")
    assert bool(shown & {"MessageDelivered"}) == stack.condition("Messages")


def test_outputs_have_a_url_for_each_provider():
    outputs = Stack(EXPANDED, BOTH).outputs
    base = "https://{Api}.execute-api.us-east-1.amazonaws.com"
    urls = {value for name, value in outputs.items() if name.endswith("WebhookUrl")}
    assert urls == {f"{base}/sms/{provider}" for provider in needs.providers()}
    assert outputs["ChatUrl"] == f"{base}/chat" and outputs["Url"] == base
    outputs = Stack(EXPANDED, EVERYTHING).outputs
    assert outputs["TwilioWebhookUrl"] == "https://chat.shop.example/bridge/sms/twilio"
    assert not any(name.endswith("WebhookUrl") for name in Stack(EXPANDED, WIDGET_ONLY).outputs)
    assert "ChatUrl" not in Stack(EXPANDED, CONNECT | MESSAGES_ONLY).outputs
    for output in EXPANDED["Outputs"].values():
        assert output["Description"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_outputs_have_what_each_dead_letter_queue_needs(deployment):
    stack = Stack(EXPANDED, DEPLOYMENTS[deployment])
    urls, redrives = set(), set()
    for queue in stack.of_type("AWS::SQS::Queue").values():
        if "RedrivePolicy" in queue:
            dead = queue["RedrivePolicy"]["deadLetterTargetArn"]
            urls.add(dead.replace(".Arn", ""))
            redrives.add(dead)
    commands = [value.split() for name, value in stack.outputs.items() if name.startswith("Redrive")]
    assert {value for name, value in stack.outputs.items() if name.endswith("DeadLettersUrl")} == urls
    assert {command[command.index("--source-arn") + 1] for command in commands} == redrives
    queues = stack.of_type("AWS::SQS::Queue")
    for command in commands:
        assert command[:3] == ["aws", "sqs", "start-message-move-task"] and "--region" in command
        source_arn, destination = (command[command.index(f"--{end}-arn") + 1] for end in ("source", "destination"))
        fed = queues[destination.strip("{}").removesuffix(".Arn")]
        assert fed["RedrivePolicy"]["deadLetterTargetArn"] == source_arn
    manual = (ROOT / "docs" / "operations.md").read_text()
    for name in stack.outputs:
        if name.startswith("Redrive") or name.endswith("DeadLettersUrl"):
            assert re.search(rf"[`<]{name}[`>]", manual), name


def test_the_manual_knows_when_a_text_of_end_user_messaging_is_given_up():
    queue = Stack(EXPANDED, EVERYTHING).of_type("AWS::SQS::Queue")["EndUserMessagingQueue"]
    # Its function can't delay what failed: each receipt is one visibility timeout after the last.
    assert ("sqs:ChangeMessageVisibility", "{EndUserMessagingQueue.Arn}") not in permissions(
        Stack(EXPANDED, EVERYTHING), "receive-message"
    )
    hours = round(queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"] / 3600)
    assert f"about {hours} hours" in (ROOT / "docs" / "operations.md").read_text()


def test_a_number_is_given_its_flow_by_arn():
    model = botocore.session.get_session().get_service_model("connect").operation_model("AssociateFlow")
    command = Stack(EXPANDED, EVERYTHING).outputs["AssociateSmsNumberCommand"].split()
    given = dict(zip(command[3::2], command[4::2], strict=False))
    assert model.input_shape.members["FlowId"].name == "ARN"
    assert given["--flow-id"] == f"{INSTANCE_ARN}/contact-flow/{FLOW}"
    assert given["--instance-id"] == INSTANCE_ARN.rsplit("/", 1)[1]


def test_no_partition_is_taken_for_granted():
    template = json.dumps([EXPANDED["Resources"], EXPANDED["Outputs"]])
    assert not re.search(r"arn:aws[:-]|console\.aws\.|amazonaws\.com/|\.amazonaws\.com(?!\")", template)


def test_each_function_is_built_from_its_binary():
    for function, logical in FUNCTIONS.items():
        resource = source()["Resources"][logical]
        assert resource["Metadata"] == {"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": function}}
        # The workspace itself: a member's folder would unify features, and compile the AWS SDK, once more each.
        assert resource["Properties"]["CodeUri"] == "."
        properties = EXPANDED["Resources"][logical]["Properties"]
        assert (properties["Runtime"], properties["Handler"]) == ("provided.al2023", "bootstrap")
        assert properties["TracingConfig"] == {"Mode": "Active"}
        # API Gateway waits 30 s.
        assert properties["Timeout"] < 30 or function not in ("start-chat", "receive-message")


# ---- make deploy -----------------------------------------------------------------------------------------------------

SAID_ARM = r'parameter_overrides = "ConnectRoute=\"chat\" Architecture=\"arm64\""'
SAID_X86 = r'parameter_overrides = "ConnectRoute=\"chat\" Architecture=\"x86_64\""'
GUIDED = "--guided --parameter-overrides Architecture="
AGAIN = "samconfig.toml has Architecture={}: answer {} with GUIDED=1"


@pytest.mark.parametrize(
    ("saved", "given", "says", "built", "deployed"),
    [
        ("", [], "", "arm64", GUIDED + "arm64"),
        ("", ["ARCH=x86_64"], "", "x86_64", GUIDED + "x86_64"),
        ("", ["GUIDED=1"], "", "arm64", GUIDED + "arm64"),
        (SAID_ARM, [], "", "arm64", ""),
        (SAID_ARM, ["ARCH=arm64"], "", "arm64", ""),
        (SAID_X86, [], "", "x86_64", ""),
        ("parameter_overrides = [\n  'Old=1',\n  \"Architecture=x86_64\",\n]", [], "", "x86_64", ""),
        # The template's default.
        ('parameter_overrides = "ConnectRoute=chat"', [], "", "arm64", ""),
        (f"# {SAID_X86}", [], "", "arm64", GUIDED + "arm64"),
        (SAID_X86, ["GUIDED=1"], "", "x86_64", "--guided"),
        (SAID_X86, ["ARCH=arm64", "GUIDED=1"], AGAIN.format("x86_64", "arm64"), "arm64", "--guided"),
        (SAID_X86, ["ARCH=arm64"], AGAIN.format("x86_64", "arm64"), None, None),
        (SAID_ARM, ["ARCH=x86_64"], AGAIN.format("arm64", "x86_64"), None, None),
        ("", ["ARCH=amd64"], "ARCH is arm64, x86_64 or nothing", None, None),
        ("", ["ARCH=arm64 x86_64"], "ARCH is arm64, x86_64 or nothing", None, None),
    ],
)
def test_what_is_built_is_what_is_deployed(tmp_path, saved, given, says, built, deployed):
    result = make_deploy(tmp_path, saved, given)
    if built is None:
        assert (result.returncode, result.stdout) == (2, says + "\n")
        return
    rust = {"arm64": "aarch64", "x86_64": "x86_64"}[built]
    assert result.stdout.splitlines() == [
        *([says] if says else []),
        f"rustup target add {rust}-unknown-linux-gnu",
        f"sam build --parameter-overrides Architecture={built}",
        f"sam deploy {deployed}".strip(),
    ]


def test_x86_64_is_built_on_x86_64_only(tmp_path):
    result = make_deploy(tmp_path, SAID_X86, [], machine="aarch64")
    assert (result.returncode, result.stdout) == (2, "x86_64 needs an x86_64 machine\n")


def test_an_unknown_architecture_is_not_built(tmp_path):
    result = make(tmp_path, "build", ["ARCH=aarch64"])
    assert (result.returncode, result.stdout) == (2, "ARCH is arm64, x86_64 or nothing\n")
    assert make(tmp_path, "build", ["ARCH=x86_64"]).stdout.splitlines()[1].endswith("x86_64-unknown-linux-gnu")


def make_deploy(folder, saved, given, machine="x86_64"):
    (folder / "samconfig.toml").write_text((ROOT / "samconfig.toml").read_text() + saved + "\n")
    return make(folder, "deploy", given, machine)


def make(folder, target, given, machine="x86_64"):
    """`make` with tools that only say how they were called."""
    makefile = (ROOT / "Makefile").read_text()
    tools = re.search(rf"^{target}: arch (.*?) ##", makefile, re.M)[1].replace("$(BIN)", ".venv/bin").split()
    for tool in [*tools, ".venv/bin/rustup", ".venv/bin/cargo", ".venv/bin/uname"]:
        path = folder / tool
        path.parent.mkdir(parents=True, exist_ok=True)
        says = f"echo {machine}" if path.name == "uname" else f'echo {path.name} "$@"'
        path.write_text(f"#!/bin/sh\n{says}\n")
        path.chmod(0o755)
    (folder / "Makefile").write_text(makefile)
    there = [option for tool in tools for option in ("-o", tool)]
    command = ["make", "--silent", *there, target, *given]
    # Not what a `make` around this one was told.
    own = ("ARCH", "GUIDED", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
