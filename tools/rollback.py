#!/usr/bin/env python3
"""Points the functions' alias at the version before: `make rollback [TO=<version>] [FUNCTION=StartChat]`, within seconds.

Nothing is built or uploaded. The stack keeps the newer code: the next deployment moves the alias on again.
"""

import argparse
import sys

from stack import Stack, arguments, run

FUNCTIONS = ["StartChat", "ReceiveMessage", "DeliverMessage", "ReceiveReply", "SendReply"]
ALIAS = "live"


def versions(client, function):
    """The numbers of its versions, oldest first."""
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
    found = [version["Version"] for page in pages for version in page["Versions"]]
    return sorted(int(version) for version in found if version != "$LATEST")


def plan(client, function, to=None):
    """The version that the alias is at, and the one that it goes to; none where there is none."""
    current = int(client.get_alias(FunctionName=function, Name=ALIAS)["FunctionVersion"])
    known = versions(client, function)
    if to is not None:
        return current, to if to in known else None
    earlier = [version for version in known if version < current]
    return current, earlier[-1] if earlier else None


def main(argv=None):
    parser = argparse.ArgumentParser(description="Points the functions' alias at the version before.")
    arguments(parser)
    parser.add_argument("--to", type=int, help="at this version")
    parser.add_argument("--function", choices=FUNCTIONS, help="of this function alone")
    options = parser.parse_args(argv)
    if options.to is not None and not options.function:
        parser.error("versions are counted by function: say which, --function")
    stack = Stack(options.stack)
    client = stack.client("lambda")
    chosen = [options.function] if options.function else FUNCTIONS
    plans = {name: plan(client, stack.get(name), options.to) for name in chosen if stack.get(name)}
    if not plans:
        sys.exit(f"{options.stack} has none of the functions")
    # All or none: versions of one release belong together.
    missing = [name for name, (_, target) in plans.items() if target is None]
    if missing:
        sys.exit(f"No such earlier version of {', '.join(missing)}: nothing was changed")
    for name, (current, target) in plans.items():
        client.update_alias(
            FunctionName=stack.get(name),
            Name=ALIAS,
            FunctionVersion=str(target),
            RoutingConfig={"AdditionalVersionWeights": {}},
        )
        print(f"{name}: {current} -> {target}")


if __name__ == "__main__":
    run(main)
