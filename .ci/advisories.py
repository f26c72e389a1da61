#!/usr/bin/env python3
"""advisories.py CARGO_LOCK DATABASE: crates of the lock file that an advisory of RustSec is about.

For machines without cargo-deny, and without a network: DATABASE is a copy of the RustSec database, a
folder or a tar file. Exceptions are those of deny.toml beside this folder ([advisories] ignore). Unmaintained
crates are not reported. Exit codes: 0 none, 1 some, 2 it could not be checked.
"""

import re
import sys
import tarfile
from pathlib import Path

try:
    import tomllib
except ImportError:
    print("advisories: Python 3.11 or newer is needed", file=sys.stderr)
    sys.exit(2)


def order(version):
    """A key that sorts versions by SemVer 2.0.0."""
    core, _, before = version.split("+")[0].partition("-")
    numbers = tuple(int(part) for part in core.split("."))
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split(".")]
    return (numbers + (0, 0))[:3], not before, parts if before else []


def meets(version, requirement):
    """Whether a version meets a requirement as Cargo reads it: all of its comparators."""
    return all(compare(order(version), part.strip()) for part in requirement.split(",") if part.strip())


def compare(version, comparator):
    sign, text = re.fullmatch(r"(>=|<=|>|<|=|\^|~|)\s*([0-9][^\s]*)", comparator).groups()
    bound = order(text)
    if sign in ("^", "~", ""):
        given = text.split("-")[0].count(".") + 1
        major, minor, patch = bound[0]
        if sign == "~":
            over = (major, minor + 1, 0) if given > 1 else (major + 1, 0, 0)
        elif major or given == 1:
            over = (major + 1, 0, 0)
        else:
            over = (0, minor + 1, 0) if minor or given == 2 else (0, 0, patch + 1)
        return bound <= version and version[0] < over
    return {">=": version >= bound, "<=": version <= bound, ">": version > bound,
            "<": version < bound, "=": version == bound}[sign]


def advisories(database):
    """The texts of the database's files."""
    if database.is_dir():
        for path in sorted(database.glob("**/crates/*/*.md")):
            yield path.read_text("utf-8")
        return
    with tarfile.open(database) as archive:
        for member in archive:
            if member.isfile() and re.search(r"(^|/)crates/[^/]+/[^/]+\.md$", member.name):
                yield archive.extractfile(member).read().decode("utf-8")


def main(lock, database):
    packages = {}
    for package in tomllib.loads(Path(lock).read_text("utf-8"))["package"]:
        if "source" in package:
            packages.setdefault(package["name"], []).append(package["version"])
    deny = tomllib.loads((Path(__file__).parent / "../deny.toml").read_text("utf-8"))
    ignored = {one if isinstance(one, str) else one.get("id") for one in deny["advisories"]["ignore"]}
    seen, found = 0, []
    for text in advisories(Path(database)):
        head = re.match(r"\s*```toml\n(.*?)\n```", text, re.S)
        if not head:
            continue
        seen += 1
        entry = tomllib.loads(head.group(1))
        about, versions = entry["advisory"], entry.get("versions", {})
        if "withdrawn" in about or about["id"] in ignored:
            continue
        if about.get("informational") in ("unmaintained", "notice"):
            continue
        good = versions.get("patched", []) + versions.get("unaffected", [])
        for version in packages.get(about["package"], []):
            if not any(meets(version, requirement) for requirement in good):
                remedy = ", ".join(versions.get("patched", [])) or "no version"
                found.append(f"{about['id']}: {about['package']} {version}; mended in: {remedy}")
    if seen == 0:
        print(f"advisories: no advisory in {database}", file=sys.stderr)
        return 2
    for line in found:
        print(line, file=sys.stderr)
    print(f"advisories: {len(found)} of {seen} are about {sum(map(len, packages.values()))} crates of {lock}")
    return 1 if found else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(main(*sys.argv[1:]))
    except (OSError, KeyError, ValueError, AttributeError, tarfile.TarError) as error:
        print(f"advisories: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
