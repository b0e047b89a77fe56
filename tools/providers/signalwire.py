from .contract import Provider, basic, sms_urls


def signalwire(account, more=".json"):
    path = f"/api/laml/2010-04-01/Accounts/{account['project_id']}{more}"
    host = f"https://{account['space'].removesuffix('.signalwire.com')}.signalwire.com"
    return host, path, basic(account["project_id"], account["api_token"])


PROVIDER = Provider(
    ("signing_keys",),
    ("space", "project_id", "api_token"),
    (),
    signalwire,
    lambda account: signalwire(account, "/IncomingPhoneNumbers.json"),
    sms_urls,
)
