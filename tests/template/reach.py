"""What a function's code reaches: the top-level items and methods of the crates, and which of them name which.

A method is called without naming its type, but whoever has a value of that type has named it: in a field, a signature
or an import. So a type's method is reached where the type is and where something says `.method`; a trait's wherever the
type is, for a library may call it. A type's methods in another module than its own need something else of that module.
"""

import re
from functools import cache

from expand import ROOT

ITEM = re.compile(
    r"^(?:pub(?:\([^)]*\))? )?(?:(?:async|const|unsafe) )*"
    r"(?:(?:struct|enum|trait|fn|type|const|static) (?P<name>\w+)"
    r"|impl(?:<[^>]*>)? (?P<trait>[^{]*? for )?(?P<type>\w+))",
    re.M,
)
METHOD = re.compile(r"^    (?:pub(?:\([^)]*\))? )?(?:(?:async|const|unsafe) )*fn (\w+)", re.M)


def without_tests(path):
    return path.read_text().split("#[cfg(test)]")[0]


class Module:
    """A file: its items' texts by name, which of them are its own, what its imports stand for, and its SDK crates."""

    def __init__(self, path, file):
        self.path = path
        source = re.sub(r"(^|\s)//.*", r"\1", without_tests(file))
        self.crates = set(re.findall(r"\baws_sdk_(\w+)", source))
        self.imports = {}
        for tree in re.findall(r"^\s*(?:pub(?:\([^)]*\))? )?use ([^;]+);", source, re.M):
            self.imports |= {names[-1]: self.absolute(names) for names in flat("".join(tree.split()))}
        source = re.sub(r"^\s*(?:pub(?:\([^)]*\))? )?use [^;]+;", "", source, flags=re.M)
        self.items, self.own = {}, set()
        for item, text in split(source, ITEM):
            name = item["name"] or item["type"]
            self.own |= {item["name"]} - {None}
            if item["type"] and not item["trait"]:
                for method, body in split(text, METHOD):
                    self.add(f"{name}::{method[1]}", body)
                text = METHOD.split(text)[0]
            self.add(name, text)

    def add(self, name, text):
        self.items[name] = self.items.get(name, "") + text

    def absolute(self, names):
        """A path as it is seen from outside."""
        names, base = list(names), self.path
        if names[0] == "crate":
            return (*self.path[:1], *names[1:])
        while names and names[0] in ("self", "super"):
            base = base[:-1] if names.pop(0) == "super" else base
            if not names or names[0] not in ("self", "super"):
                return (*base, *names)
        return tuple(names)


def split(text, pattern):
    """What begins with each match, up to the next."""
    starts = [*pattern.finditer(text)]
    ends = [*(start.start() for start in starts[1:]), len(text)]
    return [(start, text[start.start() : end]) for start, end in zip(starts, ends[: len(starts)], strict=True)]


def flat(tree):
    """`a::{b,c::{self,d}}` as (a, b), (a, c), (a, c, d)."""
    group = re.compile(r"((?:\w+::)*)\{([^{}]*)\}")
    while "{" in tree:
        tree = group.sub(lambda found: ",".join(found[1] + one for one in found[2].split(",") if one), tree)
    return [tuple(path.removesuffix("::self").split("::")) for path in tree.split(",")]


@cache
def modules():
    """Every module of the crates, by path."""
    found = {}
    for folder in [ROOT / "shared", *(ROOT / "functions").iterdir()]:
        for file in (folder / "src").rglob("*.rs"):
            names = file.relative_to(folder / "src").with_suffix("").parts
            names = names[:-1] if names[-1] in ("lib", "mod") else names
            path = (folder.name.replace("-", "_"), *names)
            found[path] = Module(path, file)
    return found


def resolve(names):
    """The item that a path names, as (module's path, item's name), or none of ours."""
    for length in range(len(names) - 1, 0, -1):
        module = modules().get(names[:length])
        if module:
            name, *rest = names[length:]
            if name in module.own:
                return module.path, name
            return resolve((*module.imports[name], *rest)) if name in module.imports else None
    return None


@cache
def named(path, name):
    """What an item names."""
    module, found = modules()[path], set()
    for names in re.findall(r"\b[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*", module.items[name]):
        first, *rest = names.split("::")
        # A module and a function may have one name.
        if first in module.imports and (rest or first not in module.own):
            found.add(resolve((*module.imports[first], *rest)))
        elif first in module.items or (*path, first) in modules():
            found.add(resolve((*path, first, *rest)))
        else:
            found.add(resolve(module.absolute([first, *rest])))
    return found - {None}


@cache
def said(path, name):
    """The methods that an item may call, by name."""
    return set(re.findall(r"(?:\.|::)(\w+)", modules()[path].items[name]))


@cache
def reached(function, without=frozenset()):
    """(module's path, item's name) of all that a function's code reaches, but by way of `without`."""
    crate = function.replace("-", "_")
    todo = {(path, name) for path, module in modules().items() if path[0] == crate for name in module.items}
    found, words = set(), set()
    while todo:
        found |= todo
        words = words.union(*(said(*item) for item in todo))
        todo = set().union(*(named(*item) for item in todo))
        for path in {path for path, _ in found}:
            module = modules()[path]
            for name in module.items:
                of, _, method = name.partition("::")
                of = (path, of) if of in module.own else resolve(module.imports.get(of, ()))
                if of in found and (not method or method in words):
                    todo.add((path, name))
        todo -= found | without
    return found
