#!/usr/bin/env python3
"""Packs a release: `make release [ARCH=x86_64]`.

One archive holds the template, its nested stack, a zip of each function and SHA256SUMS of them all. Beside it stands its own
checksum. The same binaries make the same bytes, wherever and whenever they are packed.
"""

import argparse
import hashlib
import re
import subprocess
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
RELEASES = ROOT / "target" / "releases"
FUNCTIONS = ["start-chat", "receive-message", "deliver-message", "receive-reply", "send-reply"]
SUMS = "SHA256SUMS"
# The first day that a zip can name.
EPOCH = (1980, 1, 1, 0, 0, 0)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def add(archive, name, data, mode=0o644):
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.create_system = 3
    entry.external_attr = (0o100000 | mode) << 16
    archive.writestr(entry, data, zipfile.ZIP_DEFLATED, 9)


def function_zip(path, bootstrap):
    with zipfile.ZipFile(path, "w") as archive:
        add(archive, "bootstrap", bootstrap.read_bytes(), 0o755)
    return path.read_bytes()


def packaged(template):
    """The template with each function's zip in place of the sources."""
    for function in FUNCTIONS:
        template, found = re.subn(
            rf"(Binary: {function} \}}.*?CodeUri: )\.$", rf"\1{function}.zip", template, count=1, flags=re.M | re.S
        )
        assert found == 1, f"template.yaml has no CodeUri of {function}"
    return template


def pack(binaries, architecture, version, folder=RELEASES):
    """Writes the archive and its checksum, and returns the archive's path."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "template.yaml": packaged((ROOT / "template.yaml").read_text()).encode(),
        "deploy/monitoring.json": (ROOT / "deploy" / "monitoring.json").read_bytes(),
        "VERSION": f"{version} {architecture}\n".encode(),
    }
    scratch = folder / "function.zip"
    for function in FUNCTIONS:
        files[f"{function}.zip"] = function_zip(scratch, binaries / function / "bootstrap")
    scratch.unlink()
    files[SUMS] = "".join(f"{digest(data)}  {name}\n" for name, data in sorted(files.items())).encode()
    path = folder / f"connect-chat-bridge-{version}-{architecture}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            add(archive, name, data)
    path.with_suffix(".zip.sha256").write_text(f"{digest(path.read_bytes())}  {path.name}\n")
    return path


class Broken(Exception):
    """An archive that is not what its checksums say."""


def unpack(path, folder):
    """Checks an archive against its checksums, unpacks it, and returns its version and architecture."""
    beside = path.with_suffix(".zip.sha256")
    if not beside.exists():
        raise Broken(f"{beside} is missing: get it from where the archive is from")
    if beside.read_text().split()[0] != digest(path.read_bytes()):
        raise Broken(f"{path} is not the file that {beside.name} was made for")
    with zipfile.ZipFile(path) as archive:
        names = {name: archive.read(name) for name in archive.namelist()}
    sums = dict(reversed(line.split()) for line in names.get(SUMS, b"").decode().splitlines())
    if set(sums) != set(names) - {SUMS} or any(sums[name] != digest(names[name]) for name in sums):
        raise Broken(f"{path} holds other files than its {SUMS} says")
    for name, data in names.items():
        target = (folder / name).resolve()
        if folder.resolve() not in target.parents:
            raise Broken(f"{path} names a file outside of it")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return names["VERSION"].decode().split()


def current_version():
    command = ["git", "describe", "--tags", "--always", "--dirty"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser(description="Packs a release.")
    parser.add_argument("architecture", choices=["arm64", "x86_64"])
    parser.add_argument("--version", default=None)
    options = parser.parse_args()
    binaries = ROOT / "target" / f"lambda-{options.architecture}"
    path = pack(binaries, options.architecture, options.version or current_version())
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
