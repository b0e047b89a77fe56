#!/usr/bin/env python3
"""Deploys a release: `make deploy [STACK=…] [PARAMETERS=deploy/both.yaml] [ZIP=…] [YES=1]`.

The answers of each stack are kept in .deploy/<stack>.yaml, which git ignores. The first time they come from a starter file
(PARAMETERS), and what is empty there is asked. Every parameter that the answers don't name gets the template's
default, not what the stack had before: so later defaults reach the stack.
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from release import SUMS, Broken, unpack
from stack import arguments

ROOT = Path(__file__).parents[1]
ANSWERS = ROOT / ".deploy"


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref`) as what they are written with."""


def short_form(loader, _suffix, node):
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    return loader.construct_sequence(node) if isinstance(node, yaml.SequenceNode) else loader.construct_mapping(node)


Loader.add_multi_constructor("!", short_form)


class Refused(Exception):
    """An answer that the template doesn't take."""


def rules_of(template):
    """The template's parameters."""
    return yaml.load(template.read_text(), Loader)["Parameters"]


def check(name, value, rule):
    items = value.split(",") if rule["Type"] == "CommaDelimitedList" else [value]
    for item in items:
        if not re.fullmatch(rule.get("AllowedPattern", ".*"), item, re.S):
            raise Refused(f"{name} {rule['ConstraintDescription']}")
        if "AllowedValues" in rule and item not in map(str, rule["AllowedValues"]):
            raise Refused(f"{name} must be one of {', '.join(map(str, rule['AllowedValues']))}")
        if rule["Type"] == "Number":
            least, most = rule.get("MinValue", 0), rule.get("MaxValue", 10**12)
            if not item.isdigit() or not least <= int(item) <= most:
                raise Refused(f"{name} must be a whole number from {least} to {most}")
    return value


def ask(name, rule, read=input):
    """Asks until the answer can be taken. A question of the starter files has no empty answer."""
    print(f"\n{name}: {rule['Description']}")
    while True:
        value = read("> ").strip()
        try:
            if value:
                return check(name, value, rule)
        except Refused as refusal:
            print(refusal)


def text_of(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_answers(path):
    written = yaml.safe_load(path.read_text()) or {}
    return {name: None if value is None else text_of(value) for name, value in written.items()}


def answers_of(stack, starter, rules, read=input):
    """The stack's answers: as they are kept, or asked for and then kept."""
    path = ANSWERS / f"{stack}.yaml"
    if path.exists() and not starter:
        return read_answers(path)
    if not starter:
        raise Refused(f"{stack} has no answers yet: say what to deploy, PARAMETERS=deploy/widget.yaml, deploy/messages.yaml or deploy/both.yaml")
    asked = read_answers(starter)
    known = read_answers(path) if path.exists() else {}
    answers = known | {
        name: known.get(name) or (ask(name, rules[name], read) if value is None else value)
        for name, value in asked.items()
    }
    path.parent.mkdir(exist_ok=True)
    head = f"# The answers of {stack}, for make deploy. Add any other parameter of template.yaml.\n"
    path.write_text(head + yaml.safe_dump(answers, sort_keys=False))
    print(f"\nKept in {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}")
    return answers


def parameters_of(answers, rules, architecture):
    """Every parameter of the template."""
    unknown = sorted(set(answers) - set(rules))
    if unknown:
        raise Refused(f"template.yaml has no parameter {', '.join(unknown)}: take it out of the answers")
    if answers.get("Architecture", architecture) != architecture:
        raise Refused(f"the answers say Architecture {answers['Architecture']}, the release is for {architecture}")
    values = {name: text_of(rule["Default"]) for name, rule in rules.items() if "Default" in rule}
    values |= {name: value or "" for name, value in answers.items()} | {"Architecture": architecture}
    missing = sorted(set(rules) - set(values))
    if missing:
        raise Refused(f"no answer to {', '.join(missing)}")
    for name, value in values.items():
        check(name, value, rules[name])
    return values


def deployment_id(parameters, sums):
    """Another one for every change of code or parameters: see AutoPublishCodeSha256 in the template."""
    known = {name: value for name, value in parameters.items() if name != "DeploymentId"}
    return hashlib.sha256(json.dumps([sorted(known.items()), sums]).encode()).hexdigest()


def command(folder, stack, parameters, tags, yes):
    """`sam deploy` as it is called."""
    path = folder / "parameters.yaml"
    path.write_text(yaml.safe_dump(parameters))
    return [
        os.environ.get("SAM", str(ROOT / ".tools" / "sam" / "bin" / "sam")),
        "deploy",
        "--template-file",
        str(folder / "template.yaml"),
        "--stack-name",
        stack,
        "--capabilities",
        "CAPABILITY_IAM",
        "--resolve-s3",
        "--no-fail-on-empty-changeset",
        "--no-confirm-changeset" if yes else "--confirm-changeset",
        "--parameter-overrides",
        f"file://{path}",
        "--tags",
        "application=connect-chat-bridge",
        *shlex.split(tags),
    ]


def main(argv=None):
    parser = argparse.ArgumentParser(description="Deploys a release.")
    arguments(parser)
    parser.add_argument("--zip", type=Path, required=True, help="a release, as make release packs it")
    parser.add_argument("--parameters", type=Path, help="ask the questions of this starter file, such as deploy/both.yaml")
    parser.add_argument("--tags", default="", help="further tags of the stack: name=value …")
    parser.add_argument("--yes", action="store_true", help="don't ask before the change set is executed")
    options = parser.parse_args(argv)
    folder = ROOT / "target" / "deploy" / options.stack
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        version, architecture = unpack(options.zip, folder)
        rules = rules_of(folder / "template.yaml")
        answers = answers_of(options.stack, options.parameters, rules)
        parameters = parameters_of(answers, rules, architecture)
    except (Broken, Refused, OSError) as refusal:
        sys.exit(f"{refusal}")
    parameters["DeploymentId"] = deployment_id(parameters, (folder / SUMS).read_text())
    print(f"Deploying {version} ({architecture}) as {options.stack}")
    return subprocess.run(command(folder, options.stack, parameters, options.tags, options.yes)).returncode


if __name__ == "__main__":
    sys.exit(main())
