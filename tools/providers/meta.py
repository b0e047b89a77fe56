from .contract import Provider, bearer

PROVIDER = Provider(
    ("app_secrets",),
    ("access_token", "phone_number_ids"),
    ("verify_token",),
    lambda account: (
        "https://graph.facebook.com",
        f"/v25.0/{account['phone_number_ids'][0]}",
        bearer(account["access_token"]),
    ),
)
