"""The contract that the template is held to: who reads which variable, who may do what, who is called by what."""

from expand import FLOW, INSTANCE_ARN, KEY, SECRET, SECRET_KEY, WIDGET_SECRET

FUNCTIONS = {
    "start-chat": "StartChat",
    "receive-message": "ReceiveMessage",
    "deliver-message": "DeliverMessage",
    "receive-reply": "ReceiveReply",
    "send-reply": "SendReply",
}
HALVES = dict.fromkeys(FUNCTIONS, "Messages") | {"start-chat": "Widget"}

# The variables that the template gives each function.
INSTANCE = {"CONNECT_INSTANCE_ID", "CONNECT_CONTACT_FLOW_ID", "CHAT_DURATION_MINUTES", "FEATURE_ATTACHMENTS"}
VARIABLES = {
    "start-chat": INSTANCE
    | {
        "EXTRA_CONTACT_FLOW_IDS",
        "ALLOWED_ORIGINS",
        "SIGNED_REQUESTS",
        "UNSIGNED_IDENTITY",
        "STREAMING_TOPIC_ARN",
        "BRIDGE_SETTINGS_ARN",
        "CONVERSATIONS_TABLE",
    },
    "receive-message": {"BRIDGE_SETTINGS_ARN", "PUBLIC_BASE_URL", "INBOUND_QUEUE_URL"},
    "deliver-message": INSTANCE
    | {
        "CHAT_STARTS_PER_SECOND",
        "MESSAGE_PATIENCE_SECONDS",
        "DELIVERY_RECEIPTS",
        "ATTACHMENT_MAX_BYTES",
        "ATTACHMENT_EXTENSIONS",
        "CONNECT_ROUTE",
        "PERSISTENT_CHAT",
        "STREAMING_TOPIC_ARN",
        "BRIDGE_SETTINGS_ARN",
        "CONVERSATIONS_TABLE",
        "OUTBOUND_QUEUE_URL",
        "DEAD_LETTER_QUEUE_URL",
    },
    "receive-reply": {"OUTBOUND_QUEUE_URL", "DEAD_LETTER_QUEUE_URL"},
    "send-reply": {
        "FEATURE_ATTACHMENTS",
        "REPLY_DELAY_NOTICE_SECONDS",
        "REPLY_PATIENCE_SECONDS",
        "PUBLIC_BASE_URL",
        "BRIDGE_SETTINGS_ARN",
        "CONVERSATIONS_TABLE",
        "DEAD_LETTER_QUEUE_URL",
    },
}

# (IAM action, who needs it, resources or the parameter that lists them, the template's condition, the policy's condition).
CHATS = [f"{INSTANCE_ARN}/contact-flow/{FLOW}", f"{INSTANCE_ARN}/contact/*"]
TOKENS = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["widget-token#*"]}}
TABLE = ["{Conversations.Arn}"]
TAKE = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
WAIT = [*TAKE, "sqs:GetQueueUrl", "sqs:ChangeMessageVisibility"]
REMEMBER = ["dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"]
WITH_TABLE = ["deliver-message", "send-reply"]
READERS = ["receive-message", "send-reply"]
ACTIONS = [
    # The Participant Service takes the participant's token, and no permission.
    ("connect:StartChatContact", ["start-chat"], CHATS, "Widget"),
    ("connect:StartChatContact", ["start-chat"], "ExtraContactFlowArns", "HasExtraFlows"),
    ("connect:StartChatContact", ["deliver-message"], CHATS, "Messages"),
    ("connect:StartChatContact", ["deliver-message"], "NumberContactFlowArns", "HasNumberFlows"),
    # It knows no resources.
    ("connect:SendChatIntegrationEvent", ["deliver-message"], ["*"], "IntegrationEvents"),
    ("dynamodb:PutItem", ["start-chat"], TABLE, "SingleUse", TOKENS),
    *((action, WITH_TABLE, TABLE, "Messages") for action in REMEMBER),
    ("secretsmanager:GetSecretValue", ["start-chat"], [SECRET], "NeedsCommonSecret"),
    ("secretsmanager:GetSecretValue", ["start-chat"], [WIDGET_SECRET], "HasWidgetSecret"),
    ("secretsmanager:GetSecretValue", READERS, [SECRET], "Messages"),
    ("secretsmanager:GetSecretValue", ["deliver-message"], [SECRET], "Attachments"),
    ("sns:ConfirmSubscription", ["receive-message"], "HttpsTopicArns", "HasHttpsTopics"),
    ("sms-voice:SendTextMessage", ["send-reply"], "SmsOriginationArns", "HasSmsOrigination"),
    ("social-messaging:SendWhatsAppMessage", ["send-reply"], "WhatsAppPhoneNumberArns", "HasWhatsApp"),
    ("social-messaging:PostWhatsAppMessageMedia", ["send-reply"], "WhatsAppPhoneNumberArns", "AttachmentsByWhatsApp"),
    ("social-messaging:GetWhatsAppMessageMedia", ["deliver-message"], "WhatsAppPhoneNumberArns", "AttachmentsByWhatsApp"),
    ("sqs:SendMessage", ["receive-message", "deliver-message"], ["{InboundQueue.Arn}"], "Messages"),
    ("sqs:SendMessage", ["deliver-message"], ["{InboundDeadLetters.Arn}"], "Messages"),
    ("sqs:SendMessage", ["deliver-message", "receive-reply"], ["{OutboundQueue.Arn}"], "Messages"),
    ("sqs:SendMessage", ["receive-reply"], ["{ReplyDeadLetters.Arn}"], "Messages"),
    ("sqs:SendMessage", ["send-reply"], ["{OutboundDeadLetters.Arn}"], "Messages"),
    # What Lambda does for them.
    *((action, ["receive-message"], ["{EndUserMessagingQueue.Arn}"], "EndUserMessaging") for action in TAKE),
    *((action, ["deliver-message"], ["{InboundQueue.Arn}"], "Messages") for action in WAIT),
    *((action, ["receive-reply"], ["{ReplyQueue.Arn}"], "Messages") for action in WAIT),
    *((action, ["send-reply"], ["{OutboundQueue.Arn}"], "Messages") for action in WAIT),
    *(
        (action, [function], ["{Logs}"], half)
        for function, half in HALVES.items()
        for action in ("logs:CreateLogStream", "logs:PutLogEvents")
    ),
    # X-Ray knows no resources.
    *(
        (action, [function], ["*"], half)
        for function, half in HALVES.items()
        for action in ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
    ),
    ("kms:Decrypt", ["start-chat"], [KEY], "SignedWithKey"),
    ("kms:Decrypt", ["start-chat"], [SECRET_KEY], "SignedWithSecretKey"),
    ("kms:Decrypt", READERS, [SECRET_KEY], "HasSecretKey"),
    ("kms:Decrypt", ["deliver-message"], [SECRET_KEY], "AttachmentsWithSecretKey"),
    *(
        (action, ["receive-message", "deliver-message", "receive-reply", "send-reply"], [KEY], "HasKey")
        for action in ("kms:Decrypt", "kms:GenerateDataKey")
    ),
]

# The routes of the design's section 3.
WIDGET_ROUTES = {"POST /chat", "POST /", "POST /{proxy+}", "POST /chat/end", "PUT /contact/chat"}
PREFLIGHT_ROUTES = {"OPTIONS /", "OPTIONS /{proxy+}"}
WEBHOOK_ROUTES = {
    f"{method} /sms/{path}"
    for method in ("POST", "GET")
    for path in ("{provider}", "{provider}/{account}", "{proxy+}")
}
# The queues that feed a function.
MAPPINGS = {
    "start-chat": set(),
    "receive-message": {("{EndUserMessagingQueue.Arn}", "EndUserMessaging")},
    "deliver-message": {("{InboundQueue.Arn}", "Messages")},
    "receive-reply": {("{ReplyQueue.Arn}", "Messages")},
    "send-reply": {("{OutboundQueue.Arn}", "Messages")},
}
