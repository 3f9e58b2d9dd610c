"""Lines of Postern's log, and what all of a run had in them.

A line is logfmt or JSON, as it stands in a file, with systemd's priority in front, or in a datagram of syslog. `seen` collects
for each event its levels and keys over the whole run; the last test compares that with the table in README.md."""
import json
import re
import threading

_AROUND = re.compile(r"^<(\d{1,3})>(?:postern\[\d+\]: )?")
_LOCK = threading.Lock()
seen = {}    # name: (set of levels, set of keys)


def parse(line):
    """A line as a dictionary of texts; \\xNN stands for a byte, which becomes UTF-8 where it is some."""
    line = _AROUND.sub("", line, count=1)
    if not line.startswith("{"):
        return parse_logfmt(line)
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return {key: unescape(value) if isinstance(value, str) else str(value) for key, value in found.items()}


def unescape(text):
    """What \\xNN and \\\\ stand for."""
    return _quoted(text, 0, end=None)[0]


def parse_logfmt(line):
    fields, place = {}, 0
    while place < len(line):
        if line[place] == " ":
            place += 1
            continue
        end = place
        while end < len(line) and line[end] not in "= ":
            end += 1
        key = line[place:end]
        if end >= len(line) or line[end] == " ":
            fields[key], place = "", end
            continue
        place = end + 1
        if line[place:place + 1] == '"':
            fields[key], place = _quoted(line, place + 1)
        else:
            end = line.find(" ", place)
            end = len(line) if end < 0 else end
            fields[key], place = line[place:end], end
    return fields


def _quoted(line, place, end='"'):
    """The value that begins behind a quotation mark, and the place behind its end."""
    value = bytearray()
    while place < len(line) and line[place] != end:
        if line[place] == "\\" and line[place + 1:place + 2] == "x":
            value.append(int(line[place + 2:place + 4], 16))
            place += 4
            continue
        if line[place] == "\\":
            place += 1
        value += line[place:place + 1].encode("utf-8", "surrogateescape")
        place += 1
    return value.decode("utf-8", "surrogateescape"), place + 1


def note(line):
    """Adds a line to what was seen."""
    if "event" not in line:
        return
    fields = parse(line)
    if "event" in fields and "time" in fields:
        with _LOCK:
            levels, keys = seen.setdefault(fields["event"], (set(), set()))
            levels.add(fields.get("level"))
            keys.update(fields)
