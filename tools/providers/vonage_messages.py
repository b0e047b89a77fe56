from .contract import Provider

# A read-only call would need a signed token of the application.
PROVIDER = Provider(("signature_secrets",), ("application_id", "private_key"), ("api_key",))
