from .contract import Provider, bearer


def telnyx_urls(answer):
    return {profile.get("name"): profile.get("webhook_url") for profile in answer.get("data", [])}


PROVIDER = Provider(
    ("public_keys",),
    ("api_key",),
    (),
    lambda account: ("https://api.telnyx.com", "/v2/balance", bearer(account["api_key"])),
    lambda account: ("https://api.telnyx.com", "/v2/messaging_profiles", bearer(account["api_key"])),
    telnyx_urls,
)
