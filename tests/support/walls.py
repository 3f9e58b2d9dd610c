"""What a process of Postern still has, as /proc tells: identity, rights, descriptors, mapped files."""
import os
import re

# What a descriptor may lead to, and what it is then.
_KINDS = (
    (r"/dev/null$", "nothing"),
    (r"socket:", "socket"),
    (r"pipe:", "pipe"),
    (r"anon_inode:\[eventpoll\]", "event loop"),
    (r"anon_inode:\[(eventfd|signalfd|timerfd)\]", "event loop"),
    (r"anon_inode:inotify", "watched files"),
    (r"/memfd:postern-book", "certificates"),
    (r"/memfd:", "shared counters"),
    (r".*/postern( \(deleted\))?$", "own program"),
)


def status(pid):
    """/proc/PID/status as a dictionary."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def core_limit(pid):
    """(soft, hard) of the size of a core file, as texts."""
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        return tuple(next(line for line in file if line.startswith("Max core file size")).split()[4:6])


def descriptors(pid):
    """What the descriptors of a process lead to, by number; only root may ask."""
    return {int(name): os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}


def kind_of(target):
    """What a descriptor is, None when it is nothing that a process of ours should have."""
    return next((kind for pattern, kind in _KINDS if re.match(pattern, target)), None)


def mapped(pid):
    """Files that a process has mapped, in the order of their names; only root may ask."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
        return sorted({line.split(None, 5)[5].strip() for line in file if line.count("/") and len(line.split(None, 5)) > 5})


def writable_and_executable(pid):
    """Mappings of a process that are both; only root may ask."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
        return [line for line in file if "w" in line.split()[1] and "x" in line.split()[1]]
