"""`local/dev.sh` for the tests: the stand-in, and the functions behind `cargo lambda watch`, on ports of their own."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CARGO_LAMBDA = ROOT / ".venv" / "bin" / "cargo-lambda"
PAGE = "http://localhost:9100"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until_open(port):
    """Waits until something listens on a port of this machine."""
    deadline = time.monotonic() + 30
    while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
        assert time.monotonic() < deadline, f"nothing listens on port {port}"
        time.sleep(0.05)


def request(url, method="POST", body=None, headers=None):
    """Status, headers and JSON body; an error status is an answer like any other."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        answer = urllib.request.urlopen(asked, timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        text = answer.read()
        return answer.status, dict(answer.headers), json.loads(text) if text else None


class Bridge:
    """`local/dev.sh` on ports of its own."""

    def __init__(self, log, **variables):
        self.functions = free_port()
        self.local = free_port()
        self.moto = free_port()
        self.log = log
        ports = {"FUNCTIONS_PORT": self.functions, "LOCAL_PORT": self.local, "MOTO_PORT": self.moto}
        environment = os.environ | {name: str(port) for name, port in ports.items()}
        # What a test writes into the checkout must not restart a function that is answering another.
        environment |= {"WATCH_OPTIONS": "--ignore-changes"} | variables
        self.process = subprocess.Popen(
            [ROOT / "local" / "dev.sh"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # Where the tests run in the background, the signal is ignored, and a shell can't undo that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def url(self, path):
        return f"http://localhost:{self.functions}{path}"

    def control(self, path, method="GET", body=None):
        return request(f"http://127.0.0.1:{self.local}/_local/{path}", method, body)[2]

    def wait(self):
        deadline = time.monotonic() + 300
        while "Ctrl-C" not in Path(self.log.name).read_text():
            assert self.process.poll() is None, Path(self.log.name).read_text()
            assert time.monotonic() < deadline, Path(self.log.name).read_text()
            time.sleep(0.2)

    def warm(self):
        """Has every function started, which its first invocation waits for."""
        for name in ["start-chat", "receive-message"]:
            path = "/chat" if name == "start-chat" else "/sms/twilio"
            assert request(self.url(path), "GET")[0] < 500, name
        for name in ["deliver-message", "send-reply"]:
            invoked = self.url(f"/2015-03-31/functions/{name}/invocations")
            assert request(invoked, body={"Records": []})[0] == 200, name

    def stop(self):
        """As Ctrl-C does: the signal goes to the whole foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise

    def processes(self):
        """Ids and names of the processes of its session, as Linux lists them."""
        if not Path("/proc/self/stat").exists():
            pytest.skip("no /proc to list the processes of make dev by: this needs Linux")
        found = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                name, fields = stat.read_text().rsplit(")", 1)
            except OSError:
                continue
            state, _, _, session = fields.split()[:4]
            if state != "Z" and int(session) == self.process.pid:
                found[int(stat.parent.name)] = name.split("(", 1)[1]
        return found

    def left_behind(self):
        """What of it still runs: ports that are served, else its processes."""
        ports = []
        for port in (self.functions, self.local, self.moto):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    ports.append(f"port {port}")
        return ports or list(self.processes().values())


@contextmanager
def running(folder, **variables):
    """A bridge that is up, with its log in a folder. Whatever happens, it is stopped."""
    with open(folder / "log", "w") as log:
        bridge = Bridge(log, **variables)
        try:
            bridge.wait()
            yield bridge
        finally:
            if bridge.process.poll() is None:
                bridge.stop()
