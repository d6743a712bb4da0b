#!/usr/bin/python3
"""Goal: what docs/security.md says of the rows is so.

Method: every row of the list is registered, exceptions.toml and the document name the same
exceptions with the same reasons, and the rows proven elsewhere stand there with their tests.
"""
import importlib
import pathlib
import re
import sys
import tomllib

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import rows  # noqa: E402
import run  # noqa: E402

COUNTS = {"H": 49, "L": 20, "P": 18, "J": 12, "X": 12, "S": 23, "A": 15, "W": 17, "B": 14, "R": 12,
          "O": 10}


def table(document, heading):
    """Cells of the table below a heading."""
    section = document.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")]
             for line in section.splitlines() if line.startswith("|")]
    return cells[2:]


for module in run.MODULES:
    importlib.import_module(module)
document = (HERE.parent.parent / "docs" / "security.md").read_text()
kept = tomllib.loads((HERE / "exceptions.toml").read_text())["exceptions"]
wanted = {f"{group}{i:02d}" for group, count in COUNTS.items() for i in range(1, count + 1)}
wrong = [f"row {name} is missing" for name in sorted(wanted - set(rows.ROWS))]
wrong += [f"row {name} is in no list" for name in sorted(set(rows.ROWS) - wanted)]
told = {cells[0]: cells[1] for cells in table(document, "Exceptions")}
if told != kept:
    wrong.append(f"docs/security.md excepts {told}, exceptions.toml {kept}")
elsewhere = {name: one.test for name, one in rows.ROWS.items() if one.test}
documented = {cells[0].split()[0]: re.sub("`", "", cells[1])
              for cells in table(document, "Proven elsewhere")}
if documented != elsewhere:
    wrong.append(f"docs/security.md says {documented}, the rows {elsewhere}")
for sentence in wrong:
    print("agreement_test: " + sentence)
print(f"agreement_test: {len(rows.ROWS)} rows, {len(kept)} exceptions, {len(wrong)} findings")
sys.exit(1 if wrong else 0)
