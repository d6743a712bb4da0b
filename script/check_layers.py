#!/usr/bin/env python3
"""Compares every include of src/ with the table of rooms in docs/ARCHITECTURE.md.

A room may include itself and what it depends on, directly or through its dependencies. Includes by
relative path are refused: they would slip past the include roots. There is no list of exceptions.
"""
import pathlib
import re
import sys

ROW = re.compile(r"^\| `src/(\w+)/` \|[^|]*\|([^|]*)\|")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def read_table(text):
    direct = {}
    for line in text.splitlines():
        row = ROW.match(line)
        if row:
            direct[row[1]] = set(re.findall(r"\b[a-z]+\b", row[2]))
    return direct


def closure(direct, room):
    seen, todo = {room}, [room]
    while todo:
        for below in direct.get(todo.pop(), ()):
            if below in direct and below not in seen:
                seen.add(below)
                todo.append(below)
    return seen


def violations(direct, files):
    """`files` maps a path below src/ to its text."""
    found = []
    for path, text in sorted(files.items()):
        room = path.split("/")[0]
        if room not in direct:
            found.append(f"src/{path}: the room '{room}' is not in the table")
            continue
        allowed = closure(direct, room)
        for include in INCLUDE.findall(text):
            target = include.split("/")[0]
            if include.startswith(".") or "/../" in include:
                found.append(f"src/{path}: relative include of {include}")
            elif "/" not in include:
                found.append(f"src/{path}: name the room in the include of {include}")
            elif target not in allowed:
                found.append(f"src/{path}: {room} may not include {include}")
    return found


def self_test():
    direct = {"base": set(), "core": {"base"}, "store": {"core"}}
    good = {"core/a.h": '#include "base/b.h"\n', "store/c.cpp": '#include "base/b.h"\n'}
    assert violations(direct, good) == [], violations(direct, good)
    for path, text in {
        "core/up.cpp": '#include "store/store.h"\n',
        "core/relative.cpp": '#include "../store/store.h"\n',
        "new/a.cpp": "",
    }.items():
        assert violations(direct, {path: text}), path
    print("check_layers: the planted upward includes were reported")


def main():
    if "--self-test" in sys.argv:
        return self_test()
    root = pathlib.Path(__file__).resolve().parent.parent
    direct = read_table((root / "docs/ARCHITECTURE.md").read_text())
    if not direct:
        sys.exit("check_layers: found no table of rooms in docs/ARCHITECTURE.md")
    files = {
        str(path.relative_to(root / "src")): path.read_text()
        for path in (root / "src").rglob("*")
        if path.suffix in (".h", ".cpp")
    }
    found = violations(direct, files)
    print("\n".join(found) or f"check_layers: {len(files)} files keep the direction")
    sys.exit(1 if found else 0)


main()
