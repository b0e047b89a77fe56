"""The recipes of docs/widget.md for minting a token, run as they are written, against the bridge with keys."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from bridge import PAGE, ROOT, request, running

KEY = "ünd a key of some length, used as text"
RECIPES = {
    "mint-token.mjs": [shutil.which("node"), "--input-type=module", "--eval"],
    "mint_token.py": [sys.executable, "-c"],
    "mint-token.php": [shutil.which("php"), "-r"],
}


def recipe(name):
    """The fenced block whose first line names the file."""
    text = (ROOT / "docs" / "widget.md").read_text()
    [block] = [block for block in re.findall(r"^```\w+\n(.*?)^```", text, re.M | re.S) if name in block.split("\n")[0]]
    # `php -r` opens the tag itself.
    return block.removeprefix("<?php ")


@pytest.fixture(scope="module")
def bridge(tmp_path_factory):
    settings = json.dumps({"widget": {"signing_keys": ["the next key, of 32 bytes or more", KEY]}})
    with running(tmp_path_factory.mktemp("dev"), BRIDGE_SETTINGS=settings) as bridge:
        yield bridge


@pytest.mark.parametrize("name", RECIPES)
def test_a_minted_token_starts_a_chat(bridge, name, monkeypatch):
    code = recipe(name)
    if RECIPES[name][0] is None:
        pytest.skip(f"what runs {name} is not installed")
    monkeypatch.setenv("WIDGET_SIGNING_KEY", KEY)
    minted = subprocess.run([*RECIPES[name], code], capture_output=True, text=True, timeout=60)
    assert minted.returncode == 0, minted.stderr
    headers = {"Origin": PAGE, "x-amz-security-token": minted.stdout.strip()}
    status, _, answer = request(bridge.url("/chat"), body={"Attributes": {"page": "/cart"}}, headers=headers)
    assert status == 200, answer
    contact = bridge.control(f"contacts/{answer['data']['startChatResult']['ContactId']}")
    assert contact["attributes"] == {
        "channel": "web",
        "tier": "gold",
        "HostedWidget-page": "/cart",
        "HostedWidget-customerName": "Customer",
    }
    assert request(bridge.url("/chat"), body={}, headers={"Origin": PAGE})[0] == 401
