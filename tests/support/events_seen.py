"""README.md's table of events against what the end-to-end tests have seen in logs: every event that was logged stands in the table with
its levels and fields, and every row was brought about by some test.

Each process that runs tests leaves what it saw in a folder ($POSTERN_SEEN); run as a program with that folder when all have ended."""
import json
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMON = {"time", "level", "event", "session"}

# What only a fault within can bring about is brought about in a unit test.
IN_UNIT_TESTS = {"bug": "tests/unit/test_worker.c"}


def table():
    """{name: (levels, fields)} as the README has it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = text.partition("| event | level | fields | when |\n|---|---|---|---|\n")[2].partition("\n\n")[0]
    found = {}
    for row in rows.splitlines():
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 4, row
        name = re.fullmatch(r"`([a-z_]+)`", cells[0])
        assert name and name[1] not in found, row
        found[name[1]] = tuple(set(cell.replace(",", " ").split()) for cell in cells[1:3])
    return found


def write(folder, whole, skipped):
    from . import log_lines

    seen = {name: [sorted(map(str, levels)), sorted(keys)] for name, (levels, keys) in log_lines.seen.items()}
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "%d.json" % os.getpid()), "w", encoding="utf-8") as file:
        json.dump({"whole": whole, "skipped": skipped, "seen": seen}, file)


def _read(folder):
    """What all have seen, whether every test was asked for, and whether none was skipped."""
    parts = [json.loads(path.read_text(encoding="utf-8")) for path in pathlib.Path(folder).glob("*.json")]
    seen = {}
    for part in parts:
        for name, (levels, keys) in part["seen"].items():
            known = seen.setdefault(name, (set(), set()))
            known[0].update(levels)
            known[1].update(keys)
    assert parts, "no process has left what it saw in " + folder
    return seen, all(part["whole"] for part in parts), not any(part["skipped"] for part in parts)


def faults(folder):
    """In words. What no test has produced is one only where every test ran."""
    told = table()
    seen, whole, complete = _read(folder)
    found = [f"{name}: no row names it" for name in sorted(set(seen) - set(told))]
    unseen = [f"{name}: no test produces it" for name in sorted(set(told) - set(seen) - set(IN_UNIT_TESTS))]
    for name in sorted(set(told) & set(seen)):
        (levels, fields), keys = told[name], seen[name][1] - COMMON
        beyond = keys - fields | seen[name][0] - levels
        found += [f"{name}: logged and not in the table: {sorted(beyond)}"] if beyond else []
        unseen += [f"{name}: in the table and in no test: {sorted(fields - keys)}"] if fields - keys else []
    return found + (unseen if whole and complete else [])


if __name__ == "__main__":
    wrong = faults(sys.argv[1])
    print("\n".join(wrong) or "README.md's table of events is what the tests have seen")
    sys.exit(1 if wrong else 0)
