from .contract import Provider, basic

PROVIDER = Provider(
    ("passwords",),
    ("account_id", "application_id", "api_username", "api_password"),
    ("username",),
    lambda account: (
        "https://messaging.bandwidth.com",
        f"/api/v2/users/{account['account_id']}/media?limit=1",
        basic(account["api_username"], account["api_password"]),
    ),
)
