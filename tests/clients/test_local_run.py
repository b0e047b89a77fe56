"""`make dev` and `cargo lambda` as a contributor uses them: the script, the real binaries, plain HTTP.

Every request goes to 127.0.0.1. The binaries are those of `cargo build --workspace --bins`.
"""

import json
import os
import socket
import subprocess

import pytest
from bridge import CARGO_LAMBDA, PAGE, ROOT, Bridge, free_port, request


@pytest.fixture(scope="module")
def bridge(tmp_path_factory):
    with open(tmp_path_factory.mktemp("dev") / "log", "w") as log:
        bridge = Bridge(log)
        try:
            bridge.wait()
            yield bridge
        finally:
            if bridge.process.poll() is None:
                bridge.stop()


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
    assert call["body"]["Attributes"] == {"page": "/cart", "customerName": "Jo"}


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


@pytest.mark.parametrize("event", sorted(path.name for path in (ROOT / "events" / "start-chat").glob("*.json")))
def test_cargo_lambda_invoke(bridge, event):
    expected = {"preflight.json": 204, "wrong-type.json": 400, "another-origin.json": 403}
    path = ROOT / "events" / "start-chat" / event
    command = [CARGO_LAMBDA, "lambda", "invoke", "start-chat", "--invoke-port", str(bridge.functions), "--data-file", path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["statusCode"] == expected.get(event, 200)


def test_a_port_in_use_is_said_in_one_line(bridge):
    environment = os.environ | {"FUNCTIONS_PORT": str(bridge.functions), "LOCAL_PORT": str(free_port())}
    done = subprocess.run([ROOT / "local" / "dev.sh"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Port {bridge.functions} is in use.") and done.stderr.count("\n") == 1


def test_ctrl_c_stops_everything(bridge):
    assert bridge.stop() == 130
    for port in (bridge.functions, bridge.local):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is still served"
