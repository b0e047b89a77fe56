from .contract import Provider, basic, sms_urls


def twilio_user(account):
    if account.get("api_key_sid"):
        return basic(account["api_key_sid"], account.get("api_key_secret", ""))
    return basic(account["account_sid"], account["auth_tokens"][0])


def twilio(account, more=".json"):
    return "https://api.twilio.com", f"/2010-04-01/Accounts/{account['account_sid']}{more}", twilio_user(account)


PROVIDER = Provider(
    ("auth_tokens", "shared_keys"),
    ("account_sid",),
    ("api_key_sid", "api_key_secret"),
    twilio,
    lambda account: twilio(account, "/IncomingPhoneNumbers.json"),
    sms_urls,
)
