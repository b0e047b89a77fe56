from .contract import Provider, bearer

PROVIDER = Provider(
    ("webhook_secrets",),
    ("service_plan_id", "api_token"),
    ("region",),
    lambda account: (
        f"https://{account.get('region', 'us')}.sms.api.sinch.com",
        f"/xms/v1/{account['service_plan_id']}/batches?page_size=1",
        bearer(account["api_token"]),
    ),
)
