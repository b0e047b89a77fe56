"""The `webhook` channel by the specification's own packages, PyPI's and npm's, both ways, and the examples of docs/examples
run as they are written.

The bridge is run by `local/dev.sh`; every request goes to 127.0.0.1.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import standardwebhooks
from bridge import ROOT, free_port, request, running

EXAMPLES = ROOT / "docs" / "examples"
PACKAGES = Path(__file__).parent / "node_modules"
SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# Two: one of them is being replaced.
SEND_SECRETS = [f"whsec_{base64.b64encode(bytes([number]) * 32).decode()}" for number in (1, 2)]
BOT_SECRET = "the bot's own secret"
WORDS = 'Grüße & "more" 👋🏽'

VERIFY = """
import { Webhook } from "standardwebhooks";
const [secret, headers, body] = JSON.parse(process.argv.at(-1));
new Webhook(secret).verify(body, headers);
"""


class Receiver:
    """A server that keeps what is posted to it, and answers as it is told."""

    def __init__(self):
        self.calls = []
        self.answer = (200, {"id": "7"})
        calls, owner = self.calls, self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                calls.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                status, answer = owner.answer
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def until(look):
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError("nothing came")


@pytest.fixture(scope="module")
def channel(tmp_path_factory):
    """The bridge with two accounts, the receiver of the first, and the port of the relay that the second sends to."""
    receiver, relay = Receiver(), free_port()
    account = {"provider": "webhook", "signing_secrets": [SIGNING_SECRET], "send_secrets": SEND_SECRETS}
    accounts = [
        account | {"name": "line", "channel": "line", "send_url": f"{receiver.url}/out?x=1"},
        account | {"name": "bot", "channel": "telegram", "send_url": f"http://127.0.0.1:{relay}/bridge"},
    ]
    settings = json.dumps({"accounts": accounts})
    with running(tmp_path_factory.mktemp("dev"), BRIDGE_SETTINGS=settings) as bridge:
        yield bridge, receiver, relay
    receiver.server.shutdown()


def chat_of(bridge, customer):
    """The chat of a customer, once the customer's first text is in it: the chat is there before the text."""

    def look():
        chats = bridge.control("contacts")["contacts"]
        found = (chat for chat in chats if chat["attributes"].get("customerAddress") == customer)
        return next((chat for chat in found if said(chat)), None)

    return until(look)


def said(chat, role="CUSTOMER"):
    items = [item for item in chat["transcript"] if item["item_type"] == "MESSAGE"]
    return [item["content"] for item in items if item["participant"]["role"] == role]


@pytest.fixture
def folder(tmp_path):
    """The examples beside the npm packages that they import."""
    if not PACKAGES.exists():
        pytest.skip("npm packages are not installed: make test")
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    return tmp_path / "examples"


def example(name, customer, text):
    data = {"id": f"{name}-1", "from": customer, "to": "shop", "text": text}
    return {
        "webhook-send.mjs": [shutil.which("node"), name, *data.values()],
        "webhook-send.py": [sys.executable, name, *data.values()],
        "webhook-send.sh": ["sh", name, json.dumps({"type": "message", "data": data})],
    }[name]


@pytest.mark.parametrize("name", ["webhook-send.mjs", "webhook-send.py", "webhook-send.sh"])
def test_an_example_brings_a_message_to_the_agent(channel, folder, name):
    bridge, _, _ = channel
    command = example(name, f"by {name}", WORDS)
    if command[0] is None:
        pytest.skip("node is not installed")
    environment = os.environ | {"BRIDGE_URL": bridge.url("/sms/webhook/line"), "SIGNING_SECRET": SIGNING_SECRET}
    # The second time it is a repeat.
    for _ in range(2):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and '{"success":true}' in done.stdout, (done.stdout, done.stderr)
    chat = chat_of(bridge, f"by {name}")
    assert said(chat) == [WORDS]
    assert (chat["attributes"]["channel"], chat["attributes"]["provider"]) == ("line", "webhook")
    environment["SIGNING_SECRET"] = SEND_SECRETS[0]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "UNVERIFIED" in done.stdout + done.stderr


def test_both_packages_verify_what_the_bridge_sends(channel, folder):
    bridge, receiver, _ = channel
    environment = os.environ | {"BRIDGE_URL": bridge.url("/sms/webhook/line"), "SIGNING_SECRET": SIGNING_SECRET}
    command = [sys.executable, "webhook-send.py", "1", "user-7", "shop", "Hello"]
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=60)
    chat = chat_of(bridge, "user-7")
    bridge.control(f"contacts/{chat['id']}/say", "POST", {"content": WORDS})
    [(path, headers, body)] = until(lambda: receiver.calls)
    assert path == "/out?x=1"
    (folder.parent / "verify.mjs").write_text(VERIFY)
    for secret in SEND_SECRETS:
        sent = standardwebhooks.Webhook(secret).verify(body, headers)
        arguments = json.dumps([secret, headers, body])
        node = subprocess.run(["node", "verify.mjs", arguments], cwd=folder.parent, capture_output=True, text=True)
        assert node.returncode == 0, node.stderr
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SIGNING_SECRET).verify(body, headers)
    assert sent == {
        "type": "message",
        "data": {
            "id": headers["webhook-id"],
            "from": "shop",
            "to": "user-7",
            "text": WORDS,
            "contact_id": chat["id"],
        },
    }


@contextmanager
def relay_running(folder, port, environment):
    names = {"PORT": str(port), "SIGNING_SECRET": SIGNING_SECRET, "SEND_SECRET": SEND_SECRETS[1], "BOT_SECRET": BOT_SECRET}
    process = subprocess.Popen(
        ["node", "relay.mjs"], cwd=folder, env=os.environ | names | environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline().strip() == "listening"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_the_relay_connects_a_bot(channel, folder):
    assert len((folder / "relay.mjs").read_text().splitlines()) <= 60
    bridge, _, port = channel
    bot = Receiver()
    bot.answer = (200, {"ok": True, "result": {"message_id": 5}})
    urls = {"BRIDGE_URL": bridge.url("/sms/webhook/bot"), "BOT_API": f"{bot.url}/bot1"}
    with relay_running(folder, port, urls) as relay:
        update = {
            "update_id": 1,
            "message": {"message_id": 1, "chat": {"id": 4711}, "from": {"first_name": "Jo"}, "text": WORDS},
        }
        secret = {"x-telegram-bot-api-secret-token": BOT_SECRET}
        assert request(f"{relay}/bot", body=update, headers=secret)[0] == 200
        assert request(f"{relay}/bot", body=update)[0] == 403
        assert request(f"{relay}/bridge", body={"type": "message", "data": {}})[0] == 403
        chat = chat_of(bridge, "4711")
        assert said(chat) == [WORDS]
        names = {name: chat["attributes"][name] for name in ["channel", "account", "profileName", "businessAddress"]}
        assert names == {"channel": "telegram", "account": "bot", "profileName": "Jo", "businessAddress": "bot"}
        bridge.control(f"contacts/{chat['id']}/say", "POST", {"content": "We look into it"})
        [(path, _, body)] = until(lambda: bot.calls)
        assert (path, json.loads(body)) == ("/bot1/sendMessage", {"chat_id": "4711", "text": "We look into it"})
