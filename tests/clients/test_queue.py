"""A text's way through the queue into the customer's chat, as in production."""

import base64
import hashlib
import hmac
import time
import urllib.parse
import urllib.request

import pytest
from bridge import free_port, running

TOKEN = "12345678901234567890123456789012"


@pytest.fixture(scope="module")
def bridge(tmp_path_factory):
    # Of a network with a proxy, which knows nothing of this machine.
    proxies = dict.fromkeys(["HTTP_PROXY", "http_proxy"], f"http://127.0.0.1:{free_port()}")
    with running(tmp_path_factory.mktemp("dev"), **proxies, NO_PROXY="", no_proxy="") as bridge:
        yield bridge


def text(bridge, number, words):
    """A signed webhook of Twilio's, and the answer to it."""
    parameters = {"MessageSid": f"SM{number:032}", "From": "+14155550123", "To": "+12025550100", "Body": words}
    signed = bridge.url("/sms/twilio") + "".join(name + parameters[name] for name in sorted(parameters))
    signature = base64.b64encode(hmac.new(TOKEN.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    body = urllib.parse.urlencode(parameters).encode()
    asked = urllib.request.Request(bridge.url("/sms/twilio"), data=body, headers={"X-Twilio-Signature": signature})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return answer.status


def said(bridge):
    contacts = bridge.control("contacts")["contacts"]
    items = [bridge.control(f"contacts/{contact['id']}")["transcript"] for contact in contacts]
    return [[item["content"] for item in transcript if item["content"]] for transcript in items]


def test_texts_reach_one_chat_once_and_in_order(bridge):
    for number, words in [(1, "Hello"), (2, "are you there?"), (2, "are you there?"), (3, "please")]:
        assert text(bridge, number, words) == 200
    deadline = time.monotonic() + 60
    expected = [["Hello", "are you there?", "please"]]
    while said(bridge) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(1)
    assert said(bridge) == expected
