#!/usr/bin/env python3
"""Goal: an upward include does not compile, and a way around the include roots is reported.

Method: the compiler and flags of a real file of `core`, taken from compile_commands.json, are run on
three planted files: one that includes downwards (must compile), one that includes upwards and one
that includes sideways (must not be found). Then the include check is run on planted texts.
"""
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

build, source = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def flags_of(path):
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if entry["file"].endswith(path):
            words = shlex.split(entry["command"])
            words = words[1:] if words[0].endswith("ccache") else words
            for option in ("-o", "-c", "-MF", "-MT"):
                if option in words:
                    at = words.index(option)
                    del words[at:at + 2]
            return words
    sys.exit(f"layers_test: {path} is not in compile_commands.json")


def compile_planted(room_file, include):
    with tempfile.NamedTemporaryFile("w", suffix=".cpp") as planted:
        planted.write(f'#include "{include}"\n')
        planted.flush()
        return subprocess.run(flags_of(room_file) + ["-fsyntax-only", planted.name],
                              capture_output=True, text=True, check=False)


failures = 0
for room_file, include, wanted in [
    ("src/core/order.cpp", "base/result.h", True),
    ("src/core/order.cpp", "store/store.h", False),
    ("src/core/order.cpp", "ledger/ledger.h", False),
    ("src/store/batch.cpp", "channel/channel.h", False),
    ("src/store/batch.cpp", "core/order.h", True),
    ("src/http/server.cpp", "core/money.h", False),
]:
    run = compile_planted(room_file, include)
    not_found = f"'{include}' file not found" in run.stderr
    good = run.returncode == 0 if wanted else (run.returncode != 0 and not_found)
    print(f"layers_test: {room_file} including {include}: "
          f"{'compiles' if run.returncode == 0 else 'file not found' if not_found else run.stderr}")
    failures += not good

check = source / "script/check_layers.py"
failures += subprocess.run([sys.executable, check, "--self-test"], check=False).returncode
failures += subprocess.run([sys.executable, check], check=False).returncode
sys.exit(1 if failures else 0)
