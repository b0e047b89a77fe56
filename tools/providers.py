"""What `make doctor` knows of providers: an account's fields in the settings, a read-only call that its credentials must pass,
and where the provider says which webhook it has."""

import base64
import json
import urllib.error
import urllib.parse
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


def twilio_user(account):
    if account.get("api_key_sid"):
        return basic(account["api_key_sid"], account.get("api_key_secret", ""))
    return basic(account["account_sid"], account["auth_tokens"][0])


def twilio(account, more=".json"):
    return "https://api.twilio.com", f"/2010-04-01/Accounts/{account['account_sid']}{more}", twilio_user(account)


def signalwire(account, more=".json"):
    path = f"/api/laml/2010-04-01/Accounts/{account['project_id']}{more}"
    host = f"https://{account['space'].removesuffix('.signalwire.com')}.signalwire.com"
    return host, path, basic(account["project_id"], account["api_token"])


def sms_urls(answer):
    return {number.get("phone_number"): number.get("sms_url") for number in answer.get("incoming_phone_numbers", [])}


def telnyx_urls(answer):
    return {profile.get("name"): profile.get("webhook_url") for profile in answer.get("data", [])}


def vonage_urls(answer):
    return {number.get("msisdn"): number.get("moHttpUrl") for number in answer.get("numbers", [])}


def vonage(account, path):
    return "https://rest.nexmo.com", path, basic(account["api_key"], account["api_secret"])


PROVIDERS = {
    "twilio": Provider(
        ("auth_tokens", "shared_keys"),
        ("account_sid",),
        ("api_key_sid", "api_key_secret"),
        twilio,
        lambda account: twilio(account, "/IncomingPhoneNumbers.json"),
        sms_urls,
    ),
    "signalwire": Provider(
        ("signing_keys",),
        ("space", "project_id", "api_token"),
        (),
        signalwire,
        lambda account: signalwire(account, "/IncomingPhoneNumbers.json"),
        sms_urls,
    ),
    "telnyx": Provider(
        ("public_keys",),
        ("api_key",),
        (),
        lambda account: ("https://api.telnyx.com", "/v2/balance", bearer(account["api_key"])),
        lambda account: ("https://api.telnyx.com", "/v2/messaging_profiles", bearer(account["api_key"])),
        telnyx_urls,
    ),
    "vonage": Provider(
        ("signature_secrets",),
        ("api_key", "api_secret"),
        ("signature_method",),
        lambda account: vonage(account, "/account/get-balance"),
        lambda account: vonage(account, "/account/numbers"),
        vonage_urls,
    ),
    # A read-only call would need a signed token of the application.
    "vonage-messages": Provider(("signature_secrets",), ("application_id", "private_key"), ("api_key",)),
    "plivo": Provider(
        ("auth_tokens",),
        ("auth_id",),
        ("signature_version",),
        lambda account: (
            "https://api.plivo.com",
            f"/v1/Account/{account['auth_id']}/",
            basic(account["auth_id"], account["auth_tokens"][0]),
        ),
    ),
    "sinch": Provider(
        ("webhook_secrets",),
        ("service_plan_id", "api_token"),
        ("region",),
        lambda account: (
            f"https://{account.get('region', 'us')}.sms.api.sinch.com",
            f"/xms/v1/{account['service_plan_id']}/batches?page_size=1",
            bearer(account["api_token"]),
        ),
    ),
    "bandwidth": Provider(
        ("passwords",),
        ("account_id", "application_id", "api_username", "api_password"),
        ("username",),
        lambda account: (
            "https://messaging.bandwidth.com",
            f"/api/v2/users/{account['account_id']}/media?limit=1",
            basic(account["api_username"], account["api_password"]),
        ),
    ),
    "messagebird": Provider(
        ("signing_keys",),
        ("access_key",),
        (),
        lambda account: ("https://rest.messagebird.com", "/balance", bearer(account["access_key"], "AccessKey")),
    ),
    "bird": Provider(
        ("signing_keys",),
        ("access_key", "workspace_id", "channel_id"),
        (),
        lambda account: (
            "https://api.bird.com",
            f"/workspaces/{account['workspace_id']}/channels/{account['channel_id']}",
            bearer(account["access_key"], "AccessKey"),
        ),
    ),
    "infobip": Provider(
        ("passwords",),
        ("api_key",),
        ("username", "base_url"),
        lambda account: (
            "https://" + account.get("base_url", "").removeprefix("https://"),
            "/account/1/balance",
            bearer(account["api_key"], "App"),
        ),
    ),
    # Its permissions are the function's role's.
    "aws-sns": Provider(("topic_arns",), (), ("configuration_set",)),
    "meta": Provider(
        ("app_secrets",),
        ("access_token", "phone_number_ids"),
        ("verify_token",),
        lambda account: (
            "https://graph.facebook.com",
            f"/v25.0/{account['phone_number_ids'][0]}",
            bearer(account["access_token"]),
        ),
    ),
    # A channel of the owner's own has no such call.
    "webhook": Provider(("signing_secrets",), ("send_url", "send_secrets"), ("channel", "text_limit")),
}


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
