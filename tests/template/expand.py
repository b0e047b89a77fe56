"""template.yaml as CloudFormation sees it: SAM's transform, and what parameters make of it. Without AWS.

`python expand.py <folder>` writes the expanded template, and each of DEPLOYMENTS with its conditions decided, for cfn-lint
and checkov.
"""

import copy
import json
import os
import re
import sys
from functools import cache
from pathlib import Path

import boto3
import yaml
from cfnlint.decode import cfn_yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

ROOT = Path(__file__).parents[2]
REGION = "us-east-1"
ACCOUNT = "123456789012"
PSEUDO = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::StackName": "bridge",
    "AWS::URLSuffix": "amazonaws.com",
}
NO_VALUE = object()

FLOW = "33333333-3333-4333-8333-333333333333"
INSTANCE = "44444444-4444-4444-8444-444444444444"
INSTANCE_ARN = f"arn:aws:connect:{REGION}:{ACCOUNT}:instance/{INSTANCE}"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:bridge-AbCdEf"
WIDGET_SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:widget-GhIjKl"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/55555555-5555-4555-8555-555555555555"
SECRET_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/88888888-8888-4888-8888-888888888888"

CONNECT = {"ConnectInstanceId": INSTANCE, "ConnectContactFlowId": FLOW}
# What is answered to the questions of the starter files.
ANSWERS = CONNECT | {"AllowedOrigins": "https://shop.example,http://localhost:3000", "SettingsSecretArn": SECRET}


def starter(name):
    """The parameters of a starter file, with its questions answered."""
    written = yaml.safe_load((ROOT / "deploy" / f"{name}.yaml").read_text())
    return {key: ANSWERS[key] if value is None else str(value) for key, value in written.items()}


WIDGET_ONLY, MESSAGES_ONLY, BOTH = starter("widget"), starter("messages"), starter("both")
# Every switch on, every list filled.
EVERYTHING = BOTH | {
    "AllowedOrigins": "https://shop.example,https://*.shop.example",
    "ChatDurationMinutes": "1440",
    "AttachmentsEnabled": "true",
    "AttachmentExtensions": "gif,ogg",
    "ExtraContactFlowArns": f"{INSTANCE_ARN}/contact-flow/66666666-6666-4666-8666-666666666666",
    "NumberContactFlowArns": f"{INSTANCE_ARN}/contact-flow/77777777-7777-4777-8777-777777777777",
    "WidgetStreamingTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:widget",
    "SignedRequests": "true",
    "SingleUseTokens": "true",
    "WidgetSecretArn": WIDGET_SECRET,
    "PublicBaseUrl": "https://chat.shop.example/bridge",
    "DisableExecuteApiEndpoint": "true",
    "ConnectRoute": "integration-event",
    "PersistentChat": "true",
    "EndUserMessagingTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:two-way-sms",
    "HttpsTopicArns": f"arn:aws:sns:{REGION}:{ACCOUNT}:far-sms",
    "SmsOriginationArns": f"arn:aws:sms-voice:{REGION}:{ACCOUNT}:phone-number/phone-1",
    "WhatsAppPhoneNumberArns": f"arn:aws:social-messaging:{REGION}:{ACCOUNT}:phone-number-id/phone-2",
    "PageTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:pages",
    "TicketTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:tickets",
    "KmsKeyArn": KEY,
    "SecretKmsKeyArn": SECRET_KEY,
    "PermissionsBoundaryArn": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
    "Architecture": "x86_64",
    "StartChatConcurrency": "50",
    "ReceiveMessageConcurrency": "50",
    "DeliverMessageConcurrency": "2",
    "ReceiveReplyConcurrency": "5",
    "SendReplyConcurrency": "5",
}
SIGNED = WIDGET_ONLY | {"SettingsSecretArn": SECRET, "SignedRequests": "true", "SingleUseTokens": "true"}
DEPLOYMENTS = {
    "widget": WIDGET_ONLY,
    "signed-widget": SIGNED,
    "messages": MESSAGES_ONLY,
    "both": BOTH,
    "everything": EVERYTHING,
}
MONITORING = json.loads((ROOT / "deploy" / "monitoring.json").read_text())


@cache
def _source():
    return json.dumps(cfn_yaml.load(str(ROOT / "template.yaml")))


def source():
    """The template as it is written, short forms spelt out: a copy of one's own."""
    return json.loads(_source())


def expand(template, parameters=None):
    """The template without what only SAM knows. Of the parameters SAM makes the names of the functions' versions."""
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            # Where `sam package` would have put it.
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
        if resource["Type"] == "AWS::CloudFormation::Stack":
            resource["Properties"]["TemplateURL"] = f"https://s3.{REGION}.amazonaws.com/bucket/key"
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    return Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION)).translate(template, parameters or {})


class Refused(Exception):
    """CloudFormation would not take these parameters."""


class Stack:
    """An expanded template with parameters: what CloudFormation would make of it.

    `physical` has what resources are once they exist: {logical id: {"Ref": …, "Arn": …}}. Before, a resource stands for
    itself, as `{InboundQueue}` or `{InboundQueue.Arn}`.
    """

    def __init__(self, template, parameters, physical=None):
        self.template = template
        self.physical = physical or {}
        self.parameters = self._parameters(parameters)
        self._check_rules()
        # A function's alias stands for the function: everything that calls one calls the other.
        self.aliases = {
            name: resource["Properties"]["FunctionName"]["Ref"]
            for name, resource in template["Resources"].items()
            if resource["Type"] == "AWS::Lambda::Alias"
        }
        every = template["Resources"]
        self.raw = {name: resource for name, resource in every.items() if self._exists(resource)}
        self.resources = {name: self._value(resource) for name, resource in self.raw.items()}
        outputs = {name: output for name, output in template["Outputs"].items() if self._exists(output)}
        self.outputs = {name: self._value(output["Value"]) for name, output in outputs.items()}

    def of_type(self, kind):
        """Properties by logical id."""
        found = self.resources.items()
        return {name: resource.get("Properties", {}) for name, resource in found if resource["Type"] == kind}

    def nested(self, name, template):
        """The nested stack of this name, with what this one gives it."""
        return Stack(template, self.of_type("AWS::CloudFormation::Stack")[name]["Parameters"])

    def function_of(self, alias):
        """The function that an alias such as `{StartChatAliaslive}` is of."""
        return self.aliases[alias.strip("{}")]

    def _parameters(self, given):
        unknown = set(given) - set(self.template["Parameters"])
        if unknown:
            raise Refused(f"no such parameters: {unknown}")
        values = {}
        for name, rule in self.template["Parameters"].items():
            if name not in given and "Default" not in rule:
                raise Refused(f"{name} is missing")
            value = str(given.get(name, rule.get("Default")))
            is_list = rule["Type"] == "CommaDelimitedList"
            items = value.split(",") if is_list else [value]
            for item in items:
                if not re.fullmatch(rule.get("AllowedPattern", ".*"), item):
                    raise Refused(f"{name}: {item!r} {rule['ConstraintDescription']}")
                if "AllowedValues" in rule and item not in [str(value) for value in rule["AllowedValues"]]:
                    raise Refused(f"{name}: {item!r}")
                if len(item) > rule.get("MaxLength", 4096):
                    raise Refused(f"{name}: {len(item)} characters")
                least, most = rule.get("MinValue", 0), rule.get("MaxValue", 1e9)
                if rule["Type"] == "Number" and not least <= float(item) <= most:
                    raise Refused(f"{name}: {item}")
            values[name] = items if is_list else value
        return values

    def _check_rules(self):
        for rule in self.template.get("Rules", {}).values():
            if self._value(rule.get("RuleCondition", True)):
                for assertion in rule["Assertions"]:
                    if not self._value(assertion["Assert"]):
                        raise Refused(assertion["AssertDescription"])

    def _exists(self, resource):
        return "Condition" not in resource or self.condition(resource["Condition"])

    def condition(self, name):
        """Whether it holds."""
        return self._value(self.template["Conditions"][name])

    def _look_up(self, name, attribute="Ref"):
        if name == "AWS::NoValue":
            return NO_VALUE
        if attribute == "Ref" and (name in PSEUDO or name in self.parameters):
            return PSEUDO.get(name, self.parameters.get(name))
        if name not in self.raw:
            raise KeyError(f"{name} does not exist in this deployment")
        itself = f"{{{name}}}" if attribute == "Ref" else f"{{{name}.{attribute}}}"
        return self.physical.get(name, {}).get(attribute, itself)

    def _value(self, value):
        if isinstance(value, list):
            return [item for item in map(self._value, value) if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref":
                return self._look_up(argument)
            if function == "Condition" and isinstance(argument, str):
                return self.condition(argument)
            if function == "Fn::GetAtt":
                return self._look_up(*(argument if isinstance(argument, list) else argument.split(".", 1)))
            if function == "Fn::If":
                chosen = argument[1] if self.condition(argument[0]) else argument[2]
                return self._value(chosen)
            if function == "Fn::Sub":
                names = re.compile(r"\$\{([A-Za-z0-9:]+)(?:\.([A-Za-z]+))?\}")
                text, own = argument if isinstance(argument, list) else (argument, {})
                own = self._value(own)
                return names.sub(lambda name: own.get(name[1]) or self._look_up(name[1], name[2] or "Ref"), text)
            if function.startswith("Fn::"):
                argument = self._value(argument)
                return {
                    "Fn::Equals": lambda: argument[0] == argument[1],
                    "Fn::Not": lambda: not argument[0],
                    "Fn::And": lambda: all(argument),
                    "Fn::Or": lambda: any(argument),
                    "Fn::Join": lambda: argument[0].join(argument[1]),
                    "Fn::Split": lambda: argument[1].split(argument[0]),
                }[function]()
        values = {name: self._value(item) for name, item in value.items()}
        return {name: item for name, item in values.items() if item is not NO_VALUE}

    def decided(self):
        """A template of this deployment alone: no conditions, the parameters as defaults."""
        template = copy.deepcopy(self.template)
        template["Resources"] = self._decide(self.raw)
        outputs = {name: output for name, output in template["Outputs"].items() if self._exists(output)}
        template["Outputs"] = self._decide(outputs)
        for part in (template["Resources"], template["Outputs"]):
            for item in part.values():
                item.pop("Condition", None)
        for part in ("Conditions", "Rules", "Metadata"):
            template.pop(part, None)
        body = json.dumps([template["Resources"], template["Outputs"]])
        for name, value in self.parameters.items():
            rule = template["Parameters"][name]
            if f'"{name}"' not in body and f"${{{name}}}" not in body:
                del template["Parameters"][name]
            elif rule["Type"] == "Number":
                rule["Default"] = int(value)
            else:
                rule["Default"] = ",".join(value) if isinstance(value, list) else value
        return template

    def _decide(self, value):
        if isinstance(value, list):
            return [item for item in map(self._decide, value) if item != {"Ref": "AWS::NoValue"}]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Fn::If"}:
            name, then, otherwise = value["Fn::If"]
            return self._decide(then if self.condition(name) else otherwise)
        values = {name: self._decide(item) for name, item in value.items()}
        return {name: item for name, item in values.items() if item != {"Ref": "AWS::NoValue"}}


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    expanded = expand(source())
    # SAM has put their values where they were used; cfn-lint would call them unused.
    del expanded["Parameters"]["GradualDeployment"], expanded["Parameters"]["DeploymentId"], expanded["Metadata"]
    (folder / "expanded.json").write_text(json.dumps(expanded, indent=1))
    for name, parameters in DEPLOYMENTS.items():
        stack = Stack(expanded, parameters)
        (folder / f"{name}.json").write_text(json.dumps(stack.decided(), indent=1))
        monitoring = stack.nested("Monitoring", MONITORING).decided()
        (folder / f"{name}-monitoring.json").write_text(json.dumps(monitoring, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
