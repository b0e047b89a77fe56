"""What a provider's file says, and how its API is asked."""

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass

COMMON = {
    "name",
    "provider",
    "numbers",
    "send_base_url",
    "max_age_seconds",
    "opt_out_words",
    "window_template",
    "typing",
}
NUMBER = {"contact_flow_id", "destination_id", "display_name", "attributes"}
TIMEOUT = 10


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(token, scheme="Bearer"):
    return {"Authorization": f"{scheme} {token}"}


@dataclass(frozen=True)
class Provider:
    """`verifies` are the fields of which one must be there; `sends` are all needed for replies. `read` makes the host, path and
    headers of a call that changes nothing; `webhooks` those of one that answers the webhook's URL, found by `urls`."""

    verifies: tuple
    sends: tuple = ()
    others: tuple = ()
    read: object = None
    webhooks: object = None
    urls: object = None

    def fields(self):
        return COMMON | {*self.verifies, *self.sends, *self.others}


def sms_urls(answer):
    return {number.get("phone_number"): number.get("sms_url") for number in answer.get("incoming_phone_numbers", [])}


def call(account, request):
    """The status and JSON of a read-only call. `send_base_url` stands for the provider's host, as it does for texts."""
    host, path, headers = request
    url = account.get("send_base_url", host).rstrip("/") + path
    try:
        asked = urllib.request.Request(url, headers=headers | {"Accept": "application/json"})
        with urllib.request.urlopen(asked, timeout=TIMEOUT) as answer:
            return answer.status, parsed(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, parsed(error.read())
    except (OSError, ValueError):
        return None, {}


def parsed(body):
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
