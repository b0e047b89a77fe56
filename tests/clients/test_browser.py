"""The page of `make dev` in a real browser: browser.mjs against `local/dev.sh`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from bridge import ROOT, Bridge, free_port

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
    with open(tmp_path / "log", "w") as log:
        bridge = Bridge(log)
        try:
            bridge.wait()
            # The page waits as long as a visitor would, not as long as a build.
            bridge.warm()
            yield bridge
        finally:
            if bridge.process.poll() is None:
                bridge.stop()


@pytest.fixture
def another_origin(bridge):
    """The same page, where the bridge does not allow it."""
    port = free_port()
    environment = os.environ | {"LOCAL_FUNCTIONS": f"http://localhost:{bridge.functions}", "LOCAL_PORT": str(port)}
    environment["BRIDGE_SETTINGS"] = (ROOT / "local" / "settings.json").read_text()
    page = subprocess.Popen([ROOT / "target" / "debug" / "local"], env=environment, stdout=subprocess.PIPE)
    page.stdout.readline()
    yield f"http://localhost:{port}"
    page.terminate()
    page.wait(timeout=10)


def test_the_page(chromium, bridge, another_origin):
    screenshots = ROOT / "target" / "screenshots"
    screenshots.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "PAGE": f"http://localhost:{bridge.local}",
        "OTHER": another_origin,
        "LOCAL": f"http://127.0.0.1:{bridge.local}",
        "CHROMIUM": chromium,
        "SCREENSHOTS": str(screenshots),
    }
    command = ["node", "--test", "--test-force-exit", "--test-reporter=spec", "browser.mjs"]
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr + Path(bridge.log.name).read_text()
