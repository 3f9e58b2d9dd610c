"""An OCSP responder of a throw-away authority, on loopback, that counts what it is asked; and responses as files."""
import http.server
import os
import subprocess
import tempfile
import threading


def _openssl(*arguments, data=None):
    done = subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {' '.join(arguments)}: {done.stderr.decode()}")
    return done.stdout


def _index(folder, certificate):
    """The authority's database, with the one certificate as valid."""
    serial = _openssl("x509", "-in", certificate.chain, "-noout", "-serial").decode().strip().partition("=")[2]
    path = os.path.join(folder, "index.txt")
    with open(path, "w", encoding="ascii") as file:
        file.write(f"V\t351231235959Z\t\t{serial}\tunknown\t/CN={certificate.names[0]}\n")
    return path


def _answer(folder, authority, certificate, request, minutes):
    asked, answer = os.path.join(folder, "request.der"), os.path.join(folder, "response.der")
    with open(asked, "wb") as file:
        file.write(request)
    _openssl("ocsp", "-index", _index(folder, certificate), "-rsigner", authority.certificate, "-rkey", authority.key,
             "-CA", authority.certificate, "-reqin", asked, "-respout", answer, *([] if minutes is None else ["-nmin", str(minutes)]))
    with open(answer, "rb") as file:
        return file.read()


def response(authority, certificate, minutes=1440):
    """The authority's word for the certificate, in DER, good for so many minutes; None: without an end."""
    with tempfile.TemporaryDirectory(prefix="responder-") as folder:
        request = os.path.join(folder, "question.der")
        _openssl("ocsp", "-issuer", authority.certificate, "-cert", certificate.chain, "-no_nonce", "-reqout", request)
        with open(request, "rb") as file:
            return _answer(folder, authority, certificate, file.read(), minutes)


class Responder:
    """Answers by HTTP what `answer` says: None as it should, else (status, headers, body)."""

    def __init__(self, authority):
        self.authority, self.certificate, self.answer, self.questions = authority, None, None, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.questions.append((self.headers["Content-Type"], body))
                status, headers, data = outer.answer or (200, {"Content-Type": "application/ocsp-response"}, outer.right(body))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(data)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def right(self, request):
        with tempfile.TemporaryDirectory(prefix="responder-") as folder:
            return _answer(folder, self.authority, self.certificate, request, 1440)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
