"""`make dev` and `cargo lambda` as a contributor uses them: the script, the real binaries, plain HTTP.

Every request goes to 127.0.0.1. The binaries are those of `cargo build --workspace --bins`.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from bridge import CARGO_LAMBDA, PAGE, ROOT, free_port, request, running


@pytest.fixture(scope="module")
def bridge(tmp_path_factory):
    # The base that the webhooks in events/ are signed for.
    with running(tmp_path_factory.mktemp("dev"), PUBLIC_BASE_URL="http://localhost:9000") as bridge:
        yield bridge


def test_a_visitor_gets_a_participant_token(bridge):
    body = {"ParticipantDetails": {"DisplayName": "Jo"}, "Attributes": {"page": "/cart"}}
    status, headers, answer = request(bridge.url("/chat"), body=body, headers={"Origin": PAGE})
    assert status == 200, answer
    result = answer["data"].pop("startChatResult")
    assert sorted(result) == ["ContactId", "ParticipantId", "ParticipantToken"]
    assert all(result.values())
    assert answer == {
        "success": True,
        "data": {"featurePermissions": {"ATTACHMENTS": False, "MESSAGING_MARKDOWN": True}, "region": "us-east-1"},
    }
    assert headers["access-control-allow-origin"] == PAGE

    [call] = [call for call in bridge.control("calls")["calls"] if call["operation"] == "StartChatContact"]
    assert call["body"]["Attributes"] == {"channel": "web", "page": "/cart", "customerName": "Jo"}


@pytest.mark.parametrize("path", ["/", "/chat/", "/Prod/", "/startChatContact", "/livechat"])
def test_any_path_starts_a_chat(bridge, path):
    assert request(bridge.url(path), body={})[0] == 200


def test_our_own_cors_and_refusals(bridge):
    """`cargo lambda watch` adds a permissive CORS of its own unless told not to."""
    status, headers, answer = request(bridge.url("/chat"), body={}, headers={"Origin": "https://elsewhere.example"})
    assert (status, answer["error"]["code"]) == (403, "ORIGIN_NOT_ALLOWED")
    assert "access-control-allow-origin" not in headers
    preflight = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    status, headers, _ = request(bridge.url("/chat"), "OPTIONS", headers=preflight)
    assert (status, headers["access-control-allow-origin"]) == (204, PAGE)
    status, _, answer = request(bridge.url("/chat"), body={"Attributes": {"page": {}}})
    assert (status, answer["error"]["field"]) == (400, "Attributes.page")
    assert request(bridge.url("/chat"), "GET")[0] == 405


def invoke(bridge, function, event):
    """The function's own answer to an event file."""
    command = [CARGO_LAMBDA, "lambda", "invoke", function, "--invoke-port", str(bridge.functions), "--data-file", event]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("event", sorted(path.name for path in (ROOT / "events" / "start-chat").glob("*.json")))
def test_cargo_lambda_invoke(bridge, event):
    expected = {"preflight.json": 204, "wrong-type.json": 400, "another-origin.json": 403}
    answer = invoke(bridge, "start-chat", ROOT / "events" / "start-chat" / event)
    assert answer["statusCode"] == expected.get(event, 200)


@pytest.mark.parametrize("event", sorted(path.name for path in (ROOT / "events" / "receive-message").glob("*.json")))
def test_webhooks_of_every_provider_and_trigger(bridge, event):
    answer = invoke(bridge, "receive-message", ROOT / "events" / "receive-message" / event)
    if event.startswith(("sqs-", "sns")):
        assert answer == {"batchItemFailures": []}
    else:
        assert answer["statusCode"] == (403 if event == "wrong-signature.json" else 200), answer


def test_all_of_them_reach_their_customers_chats_once(bridge):
    """The texts of the webhooks above, by account."""
    # Both of Vonage's webhooks carry one message id at one address, so the second, by the other account, is a duplicate.
    accounts = json.loads((ROOT / "local" / "settings.json").read_text())["accounts"]
    expected = Counter(account.get("name", account["provider"]) for account in accounts)
    expected -= Counter(["vonage"])
    expected.update({"twilio": 3, "aws-sns": 4})

    def said():
        texts = Counter()
        for chat in bridge.control("contacts")["contacts"]:
            if "account" in chat["attributes"]:
                said = [item for item in chat["transcript"] if item["item_type"] == "MESSAGE"]
                texts[chat["attributes"]["account"]] += len(said)
        return texts

    deadline = time.monotonic() + 30
    while said().total() < expected.total() and time.monotonic() < deadline:
        time.sleep(0.2)
    # Time for one too many.
    time.sleep(1)
    assert said() == expected


def test_a_signed_webhook_over_http(bridge):
    event = json.loads((ROOT / "events" / "receive-message" / "meta.json").read_text())
    url = bridge.url("/sms/meta")
    asked = urllib.request.Request(url, data=event["body"].encode(), method="POST", headers=event["headers"])
    with urllib.request.urlopen(asked, timeout=60) as answer:
        assert (answer.status, json.load(answer)) == (200, {"success": True})


def test_a_port_in_use_is_said_in_one_line(bridge):
    environment = os.environ | {"FUNCTIONS_PORT": str(bridge.functions), "LOCAL_PORT": str(free_port())}
    done = subprocess.run([ROOT / "local" / "dev.sh"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Port {bridge.functions} is in use.") and done.stderr.count("\n") == 1


def dev(**variables):
    """`local/dev.sh` that does not get far: what it says last, and its status."""
    environment = os.environ | {name: str(free_port()) for name in ["FUNCTIONS_PORT", "LOCAL_PORT", "MOTO_PORT"]}
    command = [ROOT / "local" / "dev.sh"]
    done = subprocess.run(command, env=environment | variables, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stderr.splitlines()[-1]


def test_settings_with_an_error_are_refused_before_anything_starts(tmp_path):
    status, said = dev(BRIDGE_SETTINGS='{"accounts": [\n  {"provider": "twilio",}\n]}')
    assert (status, "line 2, column 25" in said) == (1, True), said
    status, said = dev(BRIDGE_SETTINGS='{"accounts": [{"provider": "twillio"}]}')
    assert status == 1 and "accounts[0]: provider" in said and "twilio" in said and "meta" in said, said
    document = tmp_path / "settings.json"
    document.write_text("{}")
    status, said = dev(BRIDGE_SETTINGS=str(document))
    assert status == 1 and f'BRIDGE_SETTINGS="$(cat {document})"' in said, said


def logged(bridge, words):
    """The lines of the terminal that have these words, once there is one."""
    deadline = time.monotonic() + 10
    while True:
        lines = [line for line in Path(bridge.log.name).read_text().splitlines() if words in line]
        if lines or time.monotonic() > deadline:
            return lines
        time.sleep(0.1)


def test_a_tunnel_and_an_own_page(tmp_path):
    """What providers sign is the tunnel's URL; and a page that is elsewhere may call."""
    variables = {"PUBLIC_BASE_URL": "https://tunnel.example", "ALLOWED_ORIGINS": "https://shop.test,https://*.app.test"}
    with running(tmp_path, **variables) as bridge:
        text = {"account": "twilio", "from": "+14155550123", "to": "+12025550100", "text": "Hello"}
        assert bridge.control("phone/send", "POST", text)["status"] == 200
        event = json.loads((ROOT / "events" / "receive-message" / "twilio.json").read_text())
        url = bridge.url("/sms/twilio/")
        signed = urllib.request.Request(url, data=event["body"].encode(), method="POST", headers=event["headers"])
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(signed, timeout=60)
        assert refused.value.code == 403, "signed for localhost"
        [said] = logged(bridge, "The signature was checked against")
        assert "https://tunnel.example/sms/twilio/." in said and event["headers"]["x-twilio-signature"] not in said

        for origin in ["https://shop.test", "https://a.app.test", "http://localhost:3000", "http://127.0.0.1:5173"]:
            status, headers, _ = request(bridge.url("/chat"), body={}, headers={"Origin": origin})
            assert (status, headers["access-control-allow-origin"]) == (200, origin)
        assert request(bridge.url("/chat"), body={}, headers={"Origin": "https://other.test"})[0] == 403
        [said] = logged(bridge, "ALLOWED_ORIGINS=https://other.test make dev")
        assert "https://other.test is not allowed" in said
        [line] = logged(bridge, "POST /sms/twilio/ 403")
        assert "UNVERIFIED" in line


def test_the_terminal_has_one_readable_line_a_request(bridge):
    result = request(bridge.url("/chat?line"), body={})[2]["data"]["startChatResult"]
    [line] = logged(bridge, f"contact {result['ContactId'].split('-')[0]}")
    assert re.fullmatch(r"\d\d:\d\d:\d\d POST /chat 200 \d+ ms · contact [0-9a-f]{8}", line), line
    log = Path(bridge.log.name).read_text()
    assert "AWS_LAMBDA_MAX_CONCURRENCY" not in log and "\x1b" not in log and "ForceStop" not in log


def test_log_lines_as_they_are_on_request(tmp_path):
    with running(tmp_path, LOG="json") as bridge:
        assert request(bridge.url("/chat"), body={"Atributes": {"page": "x"}})[0] == 200
        [line] = logged(bridge, "request answered")
        assert json.loads(line)["notes"] == "a name looks like Attributes, misspelt"
        assert request(bridge.url("/chat"), body={"Attributes": {"page": {}}})[0] == 400
        [line] = logged(bridge, "request refused")
        assert json.loads(line)["field"] == "Attributes.page"


def test_a_missing_c_compiler_is_said_in_one_line(tmp_path):
    for tool in ["bash", "dirname", "cargo"]:
        (tmp_path / tool).symlink_to(shutil.which(tool))
    environment = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run([ROOT / "local" / "dev.sh"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("cc is missing: install a C compiler") and done.stderr.count("\n") == 1


def test_ctrl_c_stops_everything(bridge):
    assert bridge.stop() == 130
    assert bridge.left_behind() == []


def test_ending_the_script_alone_leaves_nothing_behind(tmp_path):
    """As a supervisor does, which signals one process and not its group."""
    with running(tmp_path) as bridge:
        bridge.process.terminate()
        assert bridge.process.wait(timeout=30) == 143
        assert bridge.left_behind() == []


@pytest.mark.parametrize(
    ("name", "said"),
    [("local", "The stand-in"), ("moto_server", "moto_server"), ("cargo-lambda", "cargo lambda watch")],
)
def test_one_of_them_ending_ends_all(tmp_path, name, said):
    with running(tmp_path) as bridge:
        [process] = [process for process, its in bridge.processes().items() if its == name]
        os.kill(process, signal.SIGKILL)
        assert bridge.process.wait(timeout=30) == 1
        assert bridge.left_behind() == []
        log = Path(bridge.log.name).read_text().splitlines()
        assert f"{said} has ended, with status {128 + signal.SIGKILL}: all is stopped." in log


def test_accounts_whose_texts_leave_this_machine_are_named():
    local = json.loads((ROOT / "local" / "settings.json").read_text())["accounts"]
    [twilio] = [dict(account) for account in local if account["provider"] == "twilio"]
    [meta] = [dict(account) for account in local if account["provider"] == "meta"]
    del twilio["send_base_url"]
    accounts = [twilio | {"name": "real"}, meta | {"name": "shop", "send_base_url": "https://graph.example"}]
    environment = os.environ | {"LOCAL_FUNCTIONS": "http://127.0.0.1:1", "LOCAL_PORT": "0"}
    environment["BRIDGE_SETTINGS"] = json.dumps({"accounts": accounts + local})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    stand_in = subprocess.Popen([ROOT / "target" / "debug" / "local"], env=environment, **pipes)
    try:
        url = stand_in.stdout.readline().split()[-1]
        # Answered once all is said that is said at the start.
        assert request(f"{url}/_local/health", "GET")[0] == 200
    finally:
        stand_in.terminate()
        said = stand_in.communicate(timeout=10)[1].splitlines()
    assert len(said) == 2
    for line, account in zip(said, ["real", "shop"], strict=True):
        assert line.startswith(f"local: answers by the account {account} go to its provider, and to real telephones.")
        assert f'"send_base_url": "{url}/_phone/{account}"' in line


def make(tmp_path, target, **variables):
    """What `make` says last of a checkout without anything installed, and what it ends with."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for path in ["local/requirements.txt", "local/page/package.json", "local/page/package-lock.json"]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    environment = os.environ | variables
    command = [shutil.which("make"), "--no-print-directory", target]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout.splitlines()[-1:]


def test_a_missing_tool_is_said_in_one_line(tmp_path):
    for tool in ["bash", "mkdir", "touch"]:
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    path = str(tmp_path / "bin")
    npm = "npm is missing: install Node.js 20.14 or newer"
    assert make(tmp_path, "local/page/node_modules/.installed", PATH=path) == (2, [npm])
    python = "python3 is missing: install Python 3.10 or newer"
    assert make(tmp_path, ".venv/bin/cargo-lambda", PATH=path) == (2, [python])


def python3(tmp_path, commands):
    """A PATH whose python3 is a script."""
    script = tmp_path / "bin" / "python3"
    script.parent.mkdir()
    script.write_text(f"#!/bin/bash\n{commands}\n")
    script.chmod(0o755)
    return f"{script.parent}:{os.environ['PATH']}"


def of_version(major, minor):
    """What a python3 does that is of this version."""
    asked = "code=${2/sys.version_info/(%s, %s, 1)}" % (major, minor)
    return f'{asked}\n[ "$1" = -V ] && echo Python {major}.{minor}.1 || exec {sys.executable} -c "$code"'


def test_an_old_python_is_said_in_one_line(tmp_path):
    path = python3(tmp_path, of_version(3, 9))
    for target in [".venv/bin/cargo-lambda", ".tools/checkov/bin/checkov"]:
        said = "Python 3.9.1 is too old: install Python 3.10 or newer"
        assert make(tmp_path, target, PATH=path) == (2, [said])


def test_a_python_that_is_too_old_for_the_tests_is_said_in_one_line(tmp_path):
    python3(tmp_path, of_version(3, 10))
    for name in ["pyvenv.cfg", "bin/python", "bin/cargo-lambda"]:
        installed = tmp_path / ".venv" / name
        installed.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "bin" / "python3", installed)
        # Newer than what it is made from, which is copied below.
        os.utime(installed, (time.time() + 60,) * 2)
    requirements = tmp_path / "tests" / "clients" / "requirements.txt"
    requirements.parent.mkdir(parents=True)
    requirements.touch()
    said = "Python 3.10.1 is too old for the tests: install 3.11 or newer, and run make clean"
    assert make(tmp_path, ".venv/bin/pytest", PATH=os.environ["PATH"]) == (2, [said])


def test_half_an_environment_is_not_left(tmp_path):
    made = 'mkdir -p "$3" && touch "$3/pyvenv.cfg" && echo ensurepip is not available && exit 1'
    path = python3(tmp_path, f'if [ "$1" = -m ]; then {made}; fi')
    said = "python3 has no venv module: install python3-venv, or see target/venv.log"
    for target, folder in [(".venv/bin/cargo-lambda", ".venv"), (".tools/sam/bin/sam", ".tools/sam")]:
        assert make(tmp_path, target, PATH=path) == (2, [said])
        assert not (tmp_path / folder).exists()
        assert (tmp_path / "target" / "venv.log").read_text() == "ensurepip is not available\n"


def test_no_network_is_said_in_one_line(tmp_path):
    nowhere = f"http://127.0.0.1:{free_port()}"
    npm = {"npm_config_registry": nowhere, "npm_config_cache": str(tmp_path / "cache"), "npm_config_fetch_retries": "0"}
    said = "npm can't install the packages of local/page: is there a network? See target/npm.log."
    assert make(tmp_path, "local/page/node_modules/.installed", **npm) == (2, [said])
    pip = {"PIP_INDEX_URL": nowhere, "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1", "PIP_CONFIG_FILE": "/dev/null"}
    said = "pip can't install cargo-lambda and moto: is there a network? See target/pip.log."
    assert make(tmp_path, ".venv/bin/cargo-lambda", **pip) == (2, [said])
    said = "pip can't install checkov: is there a network? See target/pip.log."
    assert make(tmp_path, ".tools/checkov/bin/checkov", **pip) == (2, [said])
    assert not (tmp_path / ".tools" / "checkov").exists()
