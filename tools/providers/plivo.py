from .contract import Provider, basic

PROVIDER = Provider(
    ("auth_tokens",),
    ("auth_id",),
    ("signature_version",),
    lambda account: (
        "https://api.plivo.com",
        f"/v1/Account/{account['auth_id']}/",
        basic(account["auth_id"], account["auth_tokens"][0]),
    ),
)
