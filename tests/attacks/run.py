#!/usr/bin/python3
"""Goal: every row of the project's list of attacks holds against the running daemon (P3, P4, P5).

Method: a real daemon with accounts of every channel; each row makes its inputs, sends them as
bytes, and asserts both the answer and, through the admin API, what was recorded. Before and after
each group an honest message of every channel must be accepted; after it the process must be alive
and no sanitizer may have spoken. A row that does not hold must stand in exceptions.toml, with a
reason.

  run.py POSTERN [--rows H,L05] [--json] [--quick]
  run.py POSTERN --planted "verify 1" --rows S04,S08

With --planted a function of OpenSSL lies as verifier_shim.py has it, and the run passes only if
every row that was chosen notices.
"""
import argparse
import importlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import rig  # noqa: E402
import rows  # noqa: E402
import verifier_shim  # noqa: E402

MODULES = ("framing_rows", "http_rows", "limit_rows", "form_rows", "json_rows", "xml_rows",
           "signature_rows", "alipay_rows", "wechat_rows", "business_rows", "replay_rows",
           "operations_rows")


def exceptions():
    """Reasons by row."""
    return tomllib.loads((HERE / "exceptions.toml").read_text())["exceptions"]


def is_known(site, needs):
    """Whether the daemon knows the configuration that a row needs."""
    server, account = needs
    text = site.configuration.replace("[server]\n", "[server]\n" + server, 1)
    text = text.replace("[account.alipay]\n", "[account.alipay]\n" + account, 1)
    code, output = site.check(text)
    return code == 0 or "there is no key" not in output and "there is no section" not in output


def run_row(one, case):
    """(verdict, detail) of one row."""
    if one.test:
        return run_elsewhere(one, case.quick)
    if one.needs is not None and not is_known(case.site, one.needs):
        return "pending", "the daemon does not know the settings yet"
    try:
        one.run(case)
        return "held", "; ".join(case.notes)
    except rows.Skipped as reason:
        return "pending", str(reason)
    except AssertionError as failure:
        return "failed", str(failure) or traceback.format_exc(limit=-2)
    except Exception:  # noqa: BLE001 - one row must not end the others
        return "failed", traceback.format_exc(limit=-3)


def run_elsewhere(one, quick):
    """Runs a test of the everyday build where there is one, and time for it."""
    build = HERE.parent.parent / "build" / "dev"
    if quick or not (build / "CTestTestfile.cmake").exists():
        return "elsewhere", "proven by " + one.test
    done = subprocess.run(one.command, cwd=build, capture_output=True, text=True)
    if done.returncode == 0 and "Skipped" not in done.stdout:
        return "held", "by " + one.test
    return "failed", done.stdout[-800:] + done.stderr[-800:]


def check_group(site, group):
    """What is wrong around a group, as sentences."""
    wrong = site.health()
    case = rows.Case(site, False, None)
    if not wrong:
        try:
            for account in rows.EACH_CHANNEL:
                case.control(account)
        except Exception as failure:  # noqa: BLE001
            wrong.append(f"an honest message is not accepted: {failure}")
    return [f"group {group}: {sentence}" for sentence in wrong]


def run_planted(site, shim, args, scratch):
    """0 if every chosen row fails while OpenSSL lies."""
    blind = []
    for one in rows.chosen(args.rows):
        shim.inject(args.planted)
        verdict, detail = run_row(one, rows.Case(site, True, scratch))
        print(f"{one.name} {verdict}: {detail.splitlines()[0][:150] if detail else ''}")
        if verdict != "failed":
            blind.append(one.name)
    shim.inject("")
    print(f"attacks: planted {args.planted!r}, {len(blind)} rows are blind {' '.join(blind)}")
    return 1 if blind else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("postern")
    parser.add_argument("--rows", default="")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fewer samples, no waiting")
    parser.add_argument("--planted", default="", help="a lie of OpenSSL's that rows must notice")
    args = parser.parse_args()
    for module in MODULES:
        importlib.import_module(module)
    known, told = exceptions(), (lambda *_, **__: None) if args.json else print
    results, troubles, inputs = {}, [], 0
    with tempfile.TemporaryDirectory(prefix="postern-attacks-") as folder:
        root = pathlib.Path(folder)
        shim = verifier_shim.Shim(root / "planted") if args.planted else None
        with rig.Site(args.postern, root / "site", rig.Keys(),
                      environment=shim.environment if shim else None) as site:
            if shim:
                sys.exit(run_planted(site, shim, args, root / "scratch"))
            group = ""
            for one in rows.chosen(args.rows):
                case = rows.Case(site, args.quick, root / "scratch")
                if one.name[0] != group:
                    if group:
                        troubles += check_group(site, group)
                    group = one.name[0]
                    troubles += check_group(site, f"{group} (before)")
                began = time.monotonic()
                verdict, detail = run_row(one, case)
                if verdict == "failed" and one.name in known:
                    verdict = "exception"
                elif verdict == "held" and one.name in known:
                    verdict, detail = "failed", "it holds, but exceptions.toml says it does not"
                inputs += case.inputs
                results[one.name] = (verdict, detail)
                told(f"{one.name} {verdict:9} {case.inputs:6} inputs "
                     f"{time.monotonic() - began:6.2f} s  {one.title}", flush=True)
                if detail:
                    told("      " + detail.replace("\n", "\n      "), flush=True)
                if not site.alive():
                    troubles.append(f"{one.name}: the daemon has ended")
                    break
            if site.alive():
                troubles += check_group(site, group)
                if (code := site.stop()) != 0:
                    troubles.append(f"SIGTERM ended the daemon with {code}")
            troubles += [] if not rig.SANITIZER.search(site.errors()) else [site.errors()[:3000]]
    of = {kind: [name for name, (verdict, _) in results.items() if verdict == kind]
          for kind in ("held", "failed", "exception", "pending", "elsewhere")}
    if args.json:
        print(json.dumps({
            "rows": len(results), "inputs": inputs, "held": len(of["held"]),
            "exceptions": [{"row": n, "reason": known[n]} for n in of["exception"]],
            "pending": of["pending"],
            "elsewhere": [{"row": n, "test": rows.ROWS[n].test} for n in of["elsewhere"]],
            "failed": [{"row": n, "detail": results[n][1]} for n in of["failed"]],
            "troubles": troubles}, ensure_ascii=False))
    else:
        print(f"attacks: {len(results)} rows, {inputs} inputs: {len(of['held'])} held, "
              f"{len(of['exception'])} exceptions, {len(of['pending'])} pending, "
              f"{len(of['elsewhere'])} proven elsewhere, "
              f"{len(of['failed'])} failed {' '.join(of['failed'])}")
        for sentence in troubles:
            print("attacks: " + sentence)
    sys.exit(1 if of["failed"] or troubles else 0)


if __name__ == "__main__":
    main()
