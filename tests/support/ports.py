"""Ports on loopback: a free one to give away, and whether one answers."""
import socket

_given = set()


def free_port(address="127.0.0.1"):
    """A TCP port that nobody listens on now, never the same one twice from this process."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
            port = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def is_free(port, address="127.0.0.1"):
    """Whether a server could bind that port now."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def answers(port, address="127.0.0.1"):
    """Whether something accepts connections on that port."""
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def has_ipv6():
    """Whether ::1 can be bound on this machine."""
    return is_free(0, "::1") if socket.has_ipv6 else False
