#!/usr/bin/env python3
"""A smoke test of a deployed bridge, for its owner: `make smoke URL=https://… [ORIGIN=https://shop.example]`.

It starts one real chat and ends it, and sends webhooks that must be refused. Only Python is needed, and no AWS
credentials. Exit status: 0 if all went well, 1 if something did not, 2 for a wrong command line.
"""

import argparse
import json
import os
import pathlib
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid

# A folder for each provider; a test checks that these are all.
FOLDERS = pathlib.Path(__file__).resolve().parent.parent / "shared" / "src" / "sms" / "providers"
PROVIDERS = sorted(folder.name.replace("_", "-") for folder in FOLDERS.iterdir() if folder.is_dir())
TIMEOUT = 30


class Failure(Exception):
    """Not as it should be."""


class Answer:
    """An answer of any status."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.text = body.decode("utf-8", "replace")
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = None

    def expect(self, *statuses):
        if self.status not in statuses:
            wanted = " or ".join(map(str, statuses))
            # Never the whole body: a participant's token may be in it.
            error = self.json.get("error", self.json) if isinstance(self.json, dict) else self.text[:200]
            shown = "a body" if self.status == 200 else error
            raise Failure(f"answered {self.status} and not {wanted}: {shown}")
        return self

    def field(self, *names):
        value = self.json
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            raise Failure(f"the answer has no {'.'.join(names)}")
        return value


def call(url, body=None, headers=None, method="POST"):
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())
    except OSError as error:
        raise Failure(f"no answer: {getattr(error, 'reason', error)}") from error


class Smoke:
    """The checks, in order."""

    def __init__(self, options):
        self.base = options.url.rstrip("/")
        self.origin = options.origin
        self.other_origin = options.other_origin
        self.token = options.token
        self.providers = options.provider or PROVIDERS
        self.failed = 0

    def check(self, what, test):
        try:
            note = test()
            print(f"ok      {what}{f': {note}' if note else ''}")
        except Failure as failure:
            self.failed += 1
            print(f"FAILED  {what}: {failure}")

    def headers(self, **more):
        headers = {"Content-Type": "application/json"}
        if self.origin:
            headers["Origin"] = self.origin
        return headers | more

    def allows(self, answer):
        if self.origin and answer.headers.get("access-control-allow-origin") not in (self.origin, "*"):
            raise Failure(f"a page at {self.origin} may not read the answer: AllowedOrigins")

    # ---- The widget --------------------------------------------------------------------------------------------------

    def widget(self):
        if self.origin:
            self.check("a preflight is answered", self.preflight)
        if self.other_origin:
            self.check("a page elsewhere is refused", self.elsewhere)
        self.check("a bad request is told what is wrong with it", self.bad_request)
        self.check("a chat starts and ends", self.chat)
        self.check("ending a chat needs its token", self.end_without_token)

    def preflight(self):
        headers = {
            "Origin": self.origin,
            "Access-Control-Request-Method": "POST",
            # A page with tracing asks for more than the bridge itself reads.
            "Access-Control-Request-Headers": "content-type,authorization,idempotency-key,x-amz-security-token,traceparent",
        }
        answer = call(f"{self.base}/chat", headers=headers, method="OPTIONS").expect(200, 204)
        self.allows(answer)
        allowed = {name.strip() for name in answer.headers.get("access-control-allow-headers", "").lower().split(",")}
        for header in headers["Access-Control-Request-Headers"].split(","):
            # "*" stands for every header but this one (Fetch standard).
            if header not in allowed and ("*" not in allowed or header == "authorization"):
                raise Failure(f"the header {header} is not allowed")
        if "POST" not in answer.headers.get("access-control-allow-methods", ""):
            raise Failure("POST is not allowed")

    def elsewhere(self):
        headers = {"Content-Type": "application/json", "Origin": self.other_origin}
        answer = call(f"{self.base}/chat", {}, headers).expect(403)
        if answer.field("error", "code") != "ORIGIN_NOT_ALLOWED":
            raise Failure("refused for another reason")
        if "access-control-allow-origin" in answer.headers:
            raise Failure("a page there may read the answer")

    def signed(self):
        return self.headers(**({"x-amz-security-token": self.token} if self.token else {}))

    def bad_request(self):
        # Refused before Connect is asked, so it costs none of the chat starts.
        answer = call(f"{self.base}/chat", {"Attributes": {"page": {"nested": True}}}, self.signed()).expect(400)
        self.allows(answer)
        if answer.field("error", "code") != "VALIDATION_ERROR" or answer.field("error", "field") != "Attributes.page":
            raise Failure(f"the error is {answer.json['error']}")
        answer.field("error", "message")
        answer.field("error", "requestId")

    def chat(self):
        body = {"ParticipantDetails": {"DisplayName": "Smoke test"}, "Attributes": {"smokeTest": "true"}}
        # The same chat if this is sent twice.
        body["ClientToken"] = str(uuid.uuid4())
        answer = call(f"{self.base}/chat", body, self.signed()).expect(200)
        self.allows(answer)
        contact = answer.field("data", "startChatResult", "ContactId")
        bearer = answer.field("data", "startChatResult", "ParticipantToken")
        region = answer.field("data", "region")
        participant = os.environ.get("PARTICIPANT_URL") or f"https://participant.connect.{region}.amazonaws.com"
        headers = {"Content-Type": "application/json", "X-Amz-Bearer": bearer}
        connection = call(f"{participant}/participant/connection", {"Type": ["CONNECTION_CREDENTIALS"]}, headers)
        token = connection.expect(200).field("ConnectionCredentials", "ConnectionToken")
        # As navigator.sendBeacon sends it.
        beacon = json.dumps({"ConnectionToken": token}).encode()
        headers = self.headers(**{"Content-Type": "text/plain;charset=UTF-8"})
        ended = call(f"{self.base}/chat/end", beacon, headers).expect(200)
        self.allows(ended)
        return f"chat started and ended, contact {contact}"

    def end_without_token(self):
        answer = call(f"{self.base}/chat/end", {}, self.headers()).expect(400)
        if answer.field("error", "code") != "VALIDATION_ERROR":
            raise Failure(f"the error is {answer.json['error']}")

    # ---- Webhooks ----------------------------------------------------------------------------------------------------

    def messages(self):
        self.check("an unknown provider is not found", self.unknown_provider)
        self.check("unsigned webhooks are refused", self.unsigned)

    def unknown_provider(self):
        call(f"{self.base}/sms/no-such-provider", b"a=b", {"Content-Type": "text/plain"}).expect(404)

    def unsigned(self):
        refused = []
        for provider in self.providers:
            # A provider without an account is not found, which tells a stranger no more than that.
            answer = call(f"{self.base}/sms/{provider}", b"{}", {"Content-Type": "application/json"})
            answer.expect(401, 403, 404)
            if answer.status != 404:
                refused.append(provider)
        if not refused:
            raise Failure("no provider has an account in the settings, or the settings can't be read: see the logs")
        return f"accounts of {', '.join(refused)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the output Url of the stack")
    parser.add_argument("--origin", help="an allowed origin, to check what a browser checks")
    parser.add_argument("--other-origin", help="an origin that is not allowed")
    token = os.environ.get("TOKEN")
    parser.add_argument("--token", default=token, help="a signed token, where SignedRequests is on (or TOKEN)")
    parser.add_argument("--only", choices=["widget", "messages"], help="for a deployment of one half")
    parser.add_argument("--provider", action="append", help="a provider that must have an account (default: any)")
    options = parser.parse_args()
    if urllib.parse.urlsplit(options.url).scheme not in ("http", "https"):
        parser.error("the URL must be one: https://…")
    smoke = Smoke(options)
    if options.only != "messages":
        smoke.widget()
    if options.only != "widget":
        smoke.messages()
    if smoke.failed:
        print(f"{smoke.failed} FAILED")
    return 1 if smoke.failed else 0


if __name__ == "__main__":
    sys.exit(main())
