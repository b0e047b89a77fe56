"""The page of `make dev` in a real browser: browser.mjs against `local/dev.sh`."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from bridge import ROOT, free_port, running

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
    """Where the bridge does not allow it."""
    with page(bridge.url("")) as url:
        yield url


@pytest.fixture
def alone():
    """Without a bridge."""
    with page(f"http://127.0.0.1:{free_port()}") as url:
        yield url


def test_the_page(chromium, bridge, another_origin, alone):
    screenshots = ROOT / "target" / "screenshots"
    screenshots.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "PAGE": f"http://localhost:{bridge.local}",
        "OTHER": another_origin,
        "ALONE": alone,
        "LOCAL": f"http://127.0.0.1:{bridge.local}",
        "CHROMIUM": chromium,
        "SCREENSHOTS": str(screenshots),
    }
    command = ["node", "--test", "--test-force-exit", "--test-reporter=spec", "browser.mjs"]
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr + Path(bridge.log.name).read_text()
