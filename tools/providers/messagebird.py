from .contract import Provider, bearer

PROVIDER = Provider(
    ("signing_keys",),
    ("access_key",),
    (),
    lambda account: ("https://rest.messagebird.com", "/balance", bearer(account["access_key"], "AccessKey")),
)
