#!/usr/bin/env python3
"""Erases what the bridge keeps of one customer: `make erase ADDRESS=+14155550123 [OPT_OUT=1] [YES=1]`.

It reads the whole table once for the items that name the address, and once more for those that belong to them: by the hash
that stands for the customer in keys, or by the id of a chat. It also looks through the dead letters. An opt-out stays unless
OPT_OUT=1: whoever wanted no messages still wants none. Items on their way in the queues are not touched; they are gone within
minutes, or become dead letters. What Connect and the provider keep is theirs to erase: the chats' ids are printed for that.
"""

import argparse
import re
import sys

from dead_letters import GONE, KEEP, of_stack
from stack import Stack, arguments, run

# The key's first part says what an item is (shared/src/store).
OPT_OUT = ("optout#", "optin#")
CHAT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HASH = re.compile(r"[0-9a-f]{64}")


def texts(value):
    """Every text in an item as DynamoDB has it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, (list, set, tuple)):
        for one in value:
            yield from texts(one)


def names(text, address):
    """Whether a text has the address in it, and not only a longer number that begins or ends so."""
    return re.search(rf"(?<![\w+]){re.escape(address)}(?!\w)", text) is not None


def scan(dynamodb, table):
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]


def ids_in(item):
    """The ids by which other items may belong to this one: chats, and the customer's hash."""
    found = set()
    for text in texts(item):
        if CHAT_ID.fullmatch(text) or HASH.fullmatch(text):
            found.add(text)
    key = item["pk"]["S"].partition("#")[2]
    return found | ({key} if CHAT_ID.fullmatch(key) or HASH.fullmatch(key) else set())


def belongs(item, ids):
    key = item["pk"]["S"].partition("#")[2]
    return key in ids or any(text in ids for text in texts(item))


def find(dynamodb, table, address):
    """The keys of the customer's items, and the ids by which they hang together."""
    keys, ids = set(), set()
    for item in scan(dynamodb, table):
        if any(names(text, address) for text in texts(item)):
            keys.add(item["pk"]["S"])
            ids |= ids_in(item)
    # What belongs to those may name further chats, and so on: until nothing is new.
    while True:
        more = {item["pk"]["S"]: ids_in(item) for item in scan(dynamodb, table) if belongs(item, ids)}
        new = set(more) - keys
        keys |= new
        grown = ids.union(*(more[key] for key in new)) if new else ids
        if grown == ids:
            return keys, ids
        ids = grown


def erase_letters(stack, address, ids, dry):
    count = 0
    for queue in of_stack(stack).values():

        def handle(letter, queue=queue):
            nonlocal count
            said = [letter.body, letter.group or ""]
            if not any(names(text, address) or any(one in text for one in ids) for text in said):
                return KEEP
            count += 1
            if dry:
                return KEEP
            queue.delete(letter)
            return GONE

        queue.walk(handle)
    return count


def main(argv=None):
    parser = argparse.ArgumentParser(description="Erases what the bridge keeps of one customer.")
    arguments(parser)
    parser.add_argument("address", help="the customer's address as the provider writes it: +14155550123")
    parser.add_argument("--opt-out", action="store_true", help="forget an opt-out, too")
    parser.add_argument("--yes", action="store_true", help="erase; without it, only say what would be erased")
    options = parser.parse_args(argv)
    if len(options.address) < 5:
        parser.error("the address is too short to be one customer's")
    stack = Stack(options.stack)
    table, dynamodb = stack.get("Conversations"), stack.client("dynamodb")
    if not table:
        sys.exit(f"{options.stack} has no table of conversations")
    keys, ids = find(dynamodb, table, options.address)
    opt_outs = {key for key in keys if key.startswith(OPT_OUT)}
    erased = keys if options.opt_out else keys - opt_outs
    letters = erase_letters(stack, options.address, ids, dry=not options.yes)
    if options.yes:
        for key in erased:
            dynamodb.delete_item(TableName=table, Key={"pk": {"S": key}})
    done = "Erased" if options.yes else "Would erase (YES=1 does it)"
    print(f"{done}: {len(erased)} items of the table, {letters} dead letters")
    if opt_outs and not options.opt_out:
        print(f"Kept: {len(opt_outs)} opt-outs (OPT_OUT=1 forgets them)")
    chats = sorted(one for one in ids if CHAT_ID.fullmatch(one))
    if chats:
        print("Connect keeps these chats; erase them there:")
        print("\n".join(f"  {chat}" for chat in chats))


if __name__ == "__main__":
    run(main)
