from .contract import Provider, bearer

PROVIDER = Provider(
    ("passwords",),
    ("api_key",),
    ("username", "base_url"),
    lambda account: (
        "https://" + account.get("base_url", "").removeprefix("https://"),
        "/account/1/balance",
        bearer(account["api_key"], "App"),
    ),
)
