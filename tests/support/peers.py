"""The mail front-ends that Postern takes the place of, run as they are installed: nginx's mail proxy and Dovecot's login proxy.

Each is given the configuration of a page of README.md, already filled in: ports, paths and stores are the caller's matter.
Both run in the foreground as our child in a folder of their own, and are ended by process id."""
import http.server
import os
import re
import signal
import threading
import urllib.parse

from . import ports
from .stores import Store, as_ordinary_user, is_root, program
from .wait import wait_for

STANDARD_PORTS = {("submission", "starttls"): 587, ("submission", "implicit"): 465, ("imap", "starttls"): 143,
                  ("imap", "implicit"): 993, ("pop3", "starttls"): 110, ("pop3", "implicit"): 995}


class AuthHttp:
    """What nginx asks at each login (ngx_mail_auth_http_module): it names the store of the protocol, and leaves it to
    that store to judge the password. `stores` maps smtp, imap and pop3 to ports on loopback."""

    def __init__(self, stores):
        self.stores, self.asked = stores, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One question, in the headers of a GET."""

            def do_GET(self):
                protocol = self.headers["Auth-Protocol"]
                outer.asked.append((protocol, urllib.parse.unquote(self.headers["Auth-User"])))
                self.send_response(200)
                self.send_header("Auth-Status", "OK")
                self.send_header("Auth-Server", "127.0.0.1")
                self.send_header("Auth-Port", str(outer.stores[protocol]))
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Peer(Store):
    """What both share: `ports` by protocol and TLS mode, and in `text` FOLDER stands for the folder."""

    def __init__(self, text, where, folder=None):
        super().__init__(folder)
        self.text, self.ports = text, where

    def all_ports(self):
        return list(self.ports.values())

    def move(self, where):
        """Has it listen on other ports, by a reload; its sessions live on. Returns once the old ports are free."""
        left, self.ports = set(self.all_ports()) - set(where.values()), where
        self.configure()
        os.kill(self.pid, signal.SIGHUP)
        wait_for(lambda: all(map(ports.is_free, left)) and all(map(ports.answers, self.all_ports())),
                 lambda: f"{self.name} moves\n{self.log()}")


class Nginx(Peer):
    """nginx; the standard ports in the text become ours."""

    name = "nginx"

    def __init__(self, text, where, folder=None):
        super().__init__(text, where, folder)
        self.command = [program("nginx"), "-p", self.folder, "-c", self.path("nginx.conf"), "-g", "daemon off;"]

    def configure(self):
        text = self.text.replace("FOLDER", self.folder)
        for pair, port in STANDARD_PORTS.items():
            text = re.sub(rf"listen {port}\b", f"listen 127.0.0.1:{self.ports[pair]}", text)
        self.write(text, "nginx.conf")


class DovecotProxy(Peer):
    """Dovecot; `files` are further files, by name. Its ports follow at the end of the text."""

    name = "dovecot-proxy"

    def __init__(self, text, where, folder=None, files=None):
        super().__init__(text, where, folder)
        self.files = files or {}
        self.command = [program("dovecot"), "-F", "-c", self.path("dovecot.conf")]

    def configure(self):
        for name, text in self.files.items():
            self.write(text.replace("FOLDER", self.folder), name)
        ordinary = "" if is_root() else as_ordinary_user("submission-login")
        self.write(self.text.replace("FOLDER", self.folder) + self._private() + ordinary, "dovecot.conf")

    def _private(self):
        """Its folders and ports, and no delay and no penalty after failures, so that tests are quick."""
        text = f"base_dir = {self.path('run')}\nstate_dir = {self.path('state')}\nlog_path = {self.log_path}\n"
        text += "listen = 127.0.0.1\nauth_failure_delay = 0\nservice anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}\n"
        for protocol in ("submission", "imap", "pop3"):
            text += f"service {protocol}-login {{\n"
            for mode, name in (("starttls", protocol), ("implicit", protocol + "s")):
                text += f"  inet_listener {name} {{\n    port = {self.ports[protocol, mode]}\n  }}\n"
            text += "}\n"
        return text
