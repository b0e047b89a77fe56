"""What `make doctor` knows of providers, a file for each: an account's fields in the settings, a read-only call that its
credentials must pass, and where the provider says which webhook it has."""

import importlib
import pkgutil

from .contract import NUMBER, call

__all__ = ["NUMBER", "PROVIDERS", "call"]

PROVIDERS = {
    module.name.replace("_", "-"): importlib.import_module(f".{module.name}", __name__).PROVIDER
    for module in pkgutil.iter_modules(__path__)
    if module.name != "contract"
}
