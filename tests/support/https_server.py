"""A local HTTPS server with scripted faults; it counts the bytes that it sends."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"


def write_certificate(path: Path) -> None:
    """Writes a new self-signed certificate for HOST, and its key, as one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(pem))


class HttpsServer:
    """Serves one file, with ranges and an ETag, or the scripted answers.

    Attributes:
        body: The file's content.
        etag: Its ETag.
        script: Answers to the next requests, in order; the plain file follows.
        ranges: The Range header of each request so far, or None.
        sent_bytes: Bytes of bodies sent so far.
        released: Set at the end of the test; a stalled answer waits for it.
    """

    def __init__(self, body: bytes, certificate: Path) -> None:
        self.body, self.etag = body, '"first"'
        self.script: list[Callable[[Handler], None]] = []
        self.ranges: list[str | None] = []
        self.sent_bytes = 0
        self.released = threading.Event()
        self._server = ThreadingHTTPServer((HOST, 0), type("BoundHandler", (Handler,), {"files": self}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.handle_error = lambda *_: None  # some tests close the connection
        self.url = f"https://{HOST}:{self._server.server_port}/archive.zip"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> HttpsServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    files: HttpsServer

    def do_GET(self) -> None:
        self.files.ranges.append(self.headers.get("Range"))
        answer = self.files.script.pop(0) if self.files.script else plain
        answer(self)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass

    def start_file(self, **headers: str) -> bytes:
        """Sends the headers of the file, or of the requested range; returns the bytes to send."""
        body, start = self.files.body, 0
        requested = self.headers.get("Range")
        if requested and self.headers.get("If-Range", self.files.etag) == self.files.etag:
            start = int(requested.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.finish_headers(len(body) - start, **headers)
        return body[start:]

    def finish_headers(self, num_bytes: int, **headers: str) -> None:
        headers = {"ETag": self.files.etag, "Content-Type": "application/zip", "Content-Length": str(num_bytes)} | {
            key.replace("_", "-"): value for key, value in headers.items()
        }
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()

    def send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()
        self.files.sent_bytes += len(data)


def plain(handler: Handler) -> None:
    """Sends the file, or the requested range."""
    handler.send(handler.start_file())


def cut_after(num_bytes: int) -> Callable[[Handler], None]:
    """Closes the connection after `num_bytes`."""
    return lambda handler: handler.send(handler.start_file()[:num_bytes])


def stall_after(num_bytes: int) -> Callable[[Handler], None]:
    """Sends nothing after `num_bytes` and keeps the connection open."""

    def answer(handler: Handler) -> None:
        handler.send(handler.start_file()[:num_bytes])
        handler.files.released.wait()

    return answer


def status(code: int, body: bytes = b"", **headers: str) -> Callable[[Handler], None]:
    """Sends a status without the file; underscores in the names of headers stand for hyphens."""

    def answer(handler: Handler) -> None:
        handler.send_response(code)
        handler.finish_headers(len(body), **headers)
        handler.send(body)

    return answer


def ignore_range(handler: Handler) -> None:
    """Sends the whole file with status 200, whatever range was requested."""
    del handler.headers["Range"]
    plain(handler)
