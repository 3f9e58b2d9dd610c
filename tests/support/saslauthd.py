"""A stand-in for saslauthd: its protocol on a Unix socket, with passwords from a dictionary, and users whom it never answers about."""
import os
import socketserver
import struct
import tempfile
import threading


class Saslauthd:
    """users: name -> password. For a user in `hung` it stays silent until released; `path` is what saslauthd_path names."""

    def __init__(self, users):
        self.users = dict(users)
        self.hung = set()
        self.asked = []
        self._released = threading.Event()
        self._folder = tempfile.TemporaryDirectory(prefix="saslauthd-")
        os.chmod(self._folder.name, 0o755)
        self.path = os.path.join(self._folder.name, "mux")
        self._server = None

    def start(self):
        self._server = _Server(self.path, _Question)
        self._server.daemon = self
        os.chmod(self.path, 0o777)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        self.release()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            os.unlink(self.path)
            self._server = None

    def release(self):
        """Lets go of those that wait."""
        self._released.set()

    def judge(self, user, password):
        self.asked.append(user)
        if user in self.hung:
            self._released.wait(60)
        return self.users.get(user) == password

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        self._folder.cleanup()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


class _Question(socketserver.StreamRequestHandler):
    def _text(self):
        size, = struct.unpack("!H", self.rfile.read(2))
        return self.rfile.read(size).decode("utf-8", "surrogateescape")

    def handle(self):
        user, password, _service, _realm = (self._text() for _ in range(4))
        answer = b"OK" if self.server.daemon.judge(user, password) else b"NO"
        try:
            self.wfile.write(struct.pack("!H", len(answer)) + answer)
        except OSError:  # who asked has been killed
            pass
