"""Packing a release, and what `make deploy` makes of the answers."""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import deploy
import pytest
import release
import yaml

ROOT = Path(__file__).parents[2]
RULES = deploy.rules_of(ROOT / "template.yaml")
INSTANCE = "44444444-4444-4444-8444-444444444444"
FLOW = "33333333-3333-4333-8333-333333333333"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:bridge-AbCdEf"
ANSWERS = {
    "ConnectInstanceId": INSTANCE,
    "ConnectContactFlowId": FLOW,
    "AllowedOrigins": "https://shop.example",
    "SettingsSecretArn": SECRET,
}


@pytest.fixture
def packed(tmp_path):
    binaries = tmp_path / "lambda-arm64"
    for function in release.FUNCTIONS:
        (binaries / function).mkdir(parents=True)
        (binaries / function / "bootstrap").write_bytes(f"\x7fELF {function}".encode() * 100)
    return release.pack(binaries, "arm64", "1.2.3", tmp_path / "releases")


@pytest.fixture(autouse=True)
def no_answers_yet(tmp_path, monkeypatch):
    monkeypatch.setattr(deploy, "ANSWERS", tmp_path / "answers")


def reader(*lines):
    left = list(lines)
    return lambda prompt: left.pop(0)


def test_a_release_is_the_same_bytes_again(packed, tmp_path):
    again = release.pack(tmp_path / "lambda-arm64", "arm64", "1.2.3", tmp_path / "again")
    assert again.read_bytes() == packed.read_bytes()
    assert packed.with_suffix(".zip.sha256").read_text() == f"{release.digest(packed.read_bytes())}  {packed.name}\n"


def test_a_release_holds_what_is_deployed(packed, tmp_path):
    folder = tmp_path / "out"
    assert release.unpack(packed, folder) == ["1.2.3", "arm64"]
    template = yaml.load((folder / "template.yaml").read_text(), deploy.Loader)
    code = [
        (one["Metadata"]["BuildProperties"]["Binary"], one["Properties"]["CodeUri"])
        for one in template["Resources"].values()
        if one["Type"] == "AWS::Serverless::Function"
    ]
    assert sorted(code) == sorted((function, f"{function}.zip") for function in release.FUNCTIONS)
    assert (folder / template["Resources"]["Monitoring"]["Properties"]["TemplateURL"]).exists()
    for function in release.FUNCTIONS:
        with zipfile.ZipFile(folder / f"{function}.zip") as archive:
            (entry,) = archive.infolist()
            assert (entry.filename, entry.external_attr >> 16 & 0o777) == ("bootstrap", 0o755)


@pytest.mark.parametrize("label", ["other bytes", "no checksum", "another file within"])
def test_a_broken_release_is_refused(packed, tmp_path, label):
    beside = packed.with_suffix(".zip.sha256")
    if label == "no checksum":
        beside.unlink()
    elif label == "other bytes":
        packed.write_bytes(packed.read_bytes() + b"x")
    else:
        with zipfile.ZipFile(packed, "a") as archive:
            archive.writestr("more", "x")
        beside.write_text(f"{release.digest(packed.read_bytes())}  {packed.name}\n")
    with pytest.raises(release.Broken):
        release.unpack(packed, tmp_path / "out")


@pytest.mark.parametrize("starter", sorted((ROOT / "deploy").glob("*.yaml")), ids=lambda path: path.stem)
def test_four_answers_are_enough_and_are_kept(starter, tmp_path):
    asked = [name for name, value in deploy.read_answers(starter).items() if value is None]
    assert len(asked) <= 4
    answers = deploy.answers_of("shop", starter, RULES, reader(*(ANSWERS[name] for name in asked)))
    assert deploy.answers_of("shop", None, RULES, reader()) == answers
    parameters = deploy.parameters_of(answers, RULES, "arm64")
    assert set(parameters) == set(RULES)
    assert {name: parameters[name] for name in asked} == {name: ANSWERS[name] for name in asked}
    # Every stack has its own.
    with pytest.raises(deploy.Refused, match="PARAMETERS=deploy/widget.yaml"):
        deploy.answers_of("other", None, RULES, reader())


def test_a_wrong_answer_is_asked_again(capsys):
    answers = deploy.answers_of("shop", ROOT / "deploy" / "widget.yaml", RULES, reader("", "my-instance", INSTANCE, FLOW, "https://shop.example"))
    assert answers["ConnectInstanceId"] == INSTANCE
    assert "must be the UUID at the end of the instance's ARN" in capsys.readouterr().out


def test_defaults_that_change_reach_the_stack():
    rules = json.loads(json.dumps(RULES))
    before = deploy.parameters_of(ANSWERS, rules, "arm64")
    rules["ChatRateLimit"]["Default"] = 4
    after = deploy.parameters_of(ANSWERS, rules, "arm64")
    assert (before["ChatRateLimit"], after["ChatRateLimit"]) == ("3", "4")
    assert deploy.parameters_of(ANSWERS | {"ChatRateLimit": "9"}, rules, "arm64")["ChatRateLimit"] == "9"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"AlarmTopicArn": "x"}, "no parameter AlarmTopicArn"),
        ({"Architecture": "x86_64"}, "the release is for arm64"),
        ({"LogLevel": "WARN"}, "LogLevel must be one of"),
        ({"ReplyConcurrency": "1"}, "ReplyConcurrency must be a whole number from 2"),
        ({"ConnectInstanceId": "x"}, "ConnectInstanceId must be the UUID"),
    ],
    ids=str,
)
def test_answers_that_the_template_does_not_take(change, says):
    with pytest.raises(deploy.Refused, match=says):
        deploy.parameters_of(ANSWERS | change, RULES, "arm64")


def test_an_answer_is_missing():
    with pytest.raises(deploy.Refused, match="no answer to ConnectInstanceId"):
        deploy.parameters_of({"ConnectContactFlowId": FLOW}, RULES, "arm64")


def test_any_change_is_another_deployment():
    parameters = deploy.parameters_of(ANSWERS, RULES, "arm64")
    first = deploy.deployment_id(parameters, "sums")
    assert first == deploy.deployment_id(parameters | {"DeploymentId": first}, "sums")
    ids = {deploy.deployment_id(parameters | {name: value + "x"}, "sums") for name, value in parameters.items()}
    assert len(ids) == len(parameters), "DeploymentId itself doesn't count, each of the others does"
    assert first in ids and deploy.deployment_id(parameters, "other sums") not in ids


def test_sam_is_called_with_every_parameter(packed, tmp_path, monkeypatch, capfd):
    """The real `sam deploy` would need AWS: this one says how it was called."""
    sam = tmp_path / "sam"
    sam.write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n')
    sam.chmod(0o755)
    monkeypatch.setenv("SAM", str(sam))
    deploy.answers_of("shop", ROOT / "deploy" / "both.yaml", RULES, reader(*ANSWERS.values()))
    assert deploy.main(["--stack", "shop", "--zip", str(packed), "--yes", "--tags", "team=chat"]) == 0
    said = capfd.readouterr().out
    words = said.splitlines()[-16:]
    assert words[words.index("--stack-name") + 1] == "shop" and "--no-confirm-changeset" in words
    assert words[-2:] == ["application=connect-chat-bridge", "team=chat"]
    file = words[words.index("--parameter-overrides") + 1].removeprefix("file://")
    given = yaml.safe_load(open(file).read())
    assert set(given) == set(RULES) and all(isinstance(value, str) for value in given.values())
    assert len(given["DeploymentId"]) == 64 and given["EnableWidget"] == "true"
    shutil.rmtree(ROOT / "target" / "deploy" / "shop")


@pytest.mark.skipif(not (ROOT / ".tools/sam/bin/sam").exists(), reason="the SAM CLI is not installed")
def test_sam_reads_the_parameter_file(tmp_path):
    folder = tmp_path
    given = deploy.parameters_of(ANSWERS, RULES, "arm64")
    file = deploy.command(folder, "shop", given, "", True)
    file = file[file.index("--parameter-overrides") + 1]
    reads = "import sys,json;from samcli.cli.types import CfnParameterOverridesType as T;print(json.dumps(T().convert([sys.argv[1]],None,None)))"
    python = ROOT / ".tools" / "sam" / "bin" / "python"
    result = subprocess.run([python, "-c", reads, file], capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == given


def test_answers_are_ignored_by_git():
    (ignored,) = [line for line in (ROOT / ".gitignore").read_text().splitlines() if "deploy" in line]
    assert ignored == f"/{deploy.ROOT.joinpath('.deploy').name}"
