from .contract import Provider, bearer

PROVIDER = Provider(
    ("signing_keys",),
    ("access_key", "workspace_id", "channel_id"),
    (),
    lambda account: (
        "https://api.bird.com",
        f"/workspaces/{account['workspace_id']}/channels/{account['channel_id']}",
        bearer(account["access_key"], "AccessKey"),
    ),
)
