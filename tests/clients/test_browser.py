"""The page of `make dev` in a real browser: browser.mjs against `local/dev.sh`."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from bridge import ROOT, free_port, running, until_open

HERE = Path(__file__).parent
BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]


@pytest.fixture
def chromium():
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip("no browser: install chromium, or name one in CHROMIUM")
    return found


@pytest.fixture
def bridge(tmp_path):
    with running(tmp_path) as bridge:
        # The page waits as long as a visitor would, not as long as a build.
        bridge.warm()
        yield bridge


@contextmanager
def page(functions):
    """The same page once more, of a stand-in that is told of these functions."""
    port = free_port()
    environment = os.environ | {"LOCAL_FUNCTIONS": functions, "LOCAL_PORT": str(port)}
    environment["BRIDGE_SETTINGS"] = (ROOT / "local" / "settings.json").read_text()
    stand_in = subprocess.Popen([ROOT / "target" / "debug" / "local"], env=environment, stdout=subprocess.PIPE)
    try:
        stand_in.stdout.readline()
        yield f"http://localhost:{port}"
    finally:
        stand_in.terminate()
        stand_in.wait(timeout=10)


@pytest.fixture
def another_origin(bridge):
    """The page where the bridge does not allow it: browsers take every name below localhost for this machine."""
    with page(bridge.url("")) as url:
        yield url.replace("localhost", "shop.localhost")


@pytest.fixture
def own_page(bridge, tmp_path):
    """The complete page of docs/widget.md, at an origin of its own."""
    folder = tmp_path / "own"
    folder.mkdir()
    document = (ROOT / "docs" / "widget.md").read_text()
    [html] = re.findall(r"^```html\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    html = html.replace("localhost:9000", f"localhost:{bridge.functions}")
    html = html.replace("localhost:9100", f"localhost:{bridge.local}")
    (folder / "index.html").write_text(html)
    chatjs = ROOT / "local" / "page" / "node_modules" / "amazon-connect-chatjs" / "dist" / "amazon-connect-chat.js"
    shutil.copy(chatjs, folder)
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_open(port)
        yield f"http://localhost:{port}"
    finally:
        server.terminate()
        server.wait(timeout=10)


@pytest.fixture
def alone():
    """Without a bridge."""
    with page(f"http://127.0.0.1:{free_port()}") as url:
        yield url


def test_the_page(chromium, bridge, another_origin, own_page, alone):
    screenshots = ROOT / "target" / "screenshots"
    screenshots.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "PAGE": f"http://localhost:{bridge.local}",
        "OTHER": another_origin,
        "OWN": own_page,
        "ALONE": alone,
        "LOCAL": f"http://127.0.0.1:{bridge.local}",
        "CHROMIUM": chromium,
        "SCREENSHOTS": str(screenshots),
    }
    command = ["node", "--test", "--test-force-exit", "--test-reporter=spec", "browser.mjs"]
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr + Path(bridge.log.name).read_text()
