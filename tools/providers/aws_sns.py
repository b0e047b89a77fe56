from .contract import Provider

# Its permissions are the function's role's.
PROVIDER = Provider(("topic_arns",), (), ("configuration_set",))
