from .contract import Provider

# A channel of the owner's own has no such call.
PROVIDER = Provider(("signing_secrets",), ("send_url", "send_secrets"), ("channel", "text_limit"))
