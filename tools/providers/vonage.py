from .contract import Provider, basic


def vonage_urls(answer):
    return {number.get("msisdn"): number.get("moHttpUrl") for number in answer.get("numbers", [])}


def vonage(account, path):
    return "https://rest.nexmo.com", path, basic(account["api_key"], account["api_secret"])


PROVIDER = Provider(
    ("signature_secrets",),
    ("api_key", "api_secret"),
    ("signature_method",),
    lambda account: vonage(account, "/account/get-balance"),
    lambda account: vonage(account, "/account/numbers"),
    vonage_urls,
)
