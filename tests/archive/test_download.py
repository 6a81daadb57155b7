from __future__ import annotations

import errno
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.https_server import (
    HOST,
    HttpsServer,
    cut_after,
    ignore_range,
    plain,
    stall_after,
    status,
    write_certificate,
)

from tiny_imagenet.archive import download as download_module
from tiny_imagenet.archive.download import RetryPolicy, download
from tiny_imagenet.core.errors import InputError, PipelineError

BODY = bytes(range(256)) * 8192  # 2 MiB
FAST = RetryPolicy(connect_seconds=5, read_seconds=0.2, idle_seconds=5, backoff_seconds=0.001)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    write_certificate(path)
    return path


@pytest.fixture
def server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsServer]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("NO_PROXY", HOST)
    with HttpsServer(BODY, certificate) as server:
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "archive.zip"


def check(path: Path) -> None:
    if path.read_bytes() != BODY:
        raise InputError(path, "is another file", "get it again")


def fetch(server: HttpsServer, path: Path, size_bytes: int | None = len(BODY), policy: RetryPolicy = FAST) -> None:
    download(server.url, path, check, size_bytes, policy)


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


def test_downloads_the_file_and_leaves_no_other(server: HttpsServer, path: Path) -> None:
    fetch(server, path)
    assert path.read_bytes() == BODY
    assert names(path) == ["archive.zip"]
    assert server.sent_bytes == len(BODY)


@pytest.mark.parametrize("percent", [10, 50, 99])
def test_resumes_after_a_cut_and_requests_only_the_rest(server: HttpsServer, path: Path, percent: int) -> None:
    num_bytes = len(BODY) * percent // 100
    server.script = [cut_after(num_bytes)]
    fetch(server, path)
    assert path.read_bytes() == BODY
    assert server.ranges == [None, f"bytes={num_bytes}-"]
    assert server.sent_bytes == len(BODY)


def test_resumes_after_many_cuts(server: HttpsServer, path: Path) -> None:
    server.script = [cut_after(300_000)] * 5
    fetch(server, path)
    assert path.read_bytes() == BODY
    assert server.sent_bytes == len(BODY)


def test_resumes_after_a_stall(server: HttpsServer, path: Path) -> None:
    server.script = [stall_after(2**20)]
    fetch(server, path)
    assert path.read_bytes() == BODY
    assert server.ranges == [None, f"bytes={2**20}-"]
    assert server.sent_bytes == len(BODY)


def test_a_later_run_resumes_a_failed_one(server: HttpsServer, path: Path) -> None:
    server.script = [cut_after(700_000)]
    with pytest.raises(
        PipelineError, match=r"download failed: .* 700,000 bytes are kept; run again to resume"
    ) as caught:
        fetch(server, path, policy=RetryPolicy(max_requests=1))
    assert caught.value.exit_status == 1
    assert names(path) == ["archive.zip.part", "archive.zip.part.json"]
    fetch(server, path)
    assert path.read_bytes() == BODY
    assert server.sent_bytes == len(BODY)
    assert names(path) == ["archive.zip"]


def test_sends_no_request_when_the_partial_file_is_complete(server: HttpsServer, path: Path) -> None:
    fetch(server, path)
    part = path.with_name("archive.zip.part")
    path.replace(part)
    part.with_name("archive.zip.part.json").write_text(f'{{"url": "{server.url}", "validator": null}}')
    fetch(server, path)
    assert path.read_bytes() == BODY
    assert len(server.ranges) == 1


def test_restarts_when_the_server_ignores_the_range(server: HttpsServer, path: Path) -> None:
    server.script = [cut_after(700_000), ignore_range]
    fetch(server, path)
    assert path.read_bytes() == BODY
    assert server.ranges == [None, "bytes=700000-"]


def test_restarts_when_the_server_has_another_version(server: HttpsServer, path: Path) -> None:
    server.body, server.etag = BODY[::-1], '"older"'
    server.script = [cut_after(700_000)]
    with pytest.raises(PipelineError):
        fetch(server, path, policy=RetryPolicy(max_requests=1))
    server.body, server.etag = BODY, '"newer"'
    fetch(server, path)
    assert path.read_bytes() == BODY


def test_restarts_when_the_partial_file_belongs_to_another_url(server: HttpsServer, path: Path) -> None:
    path.with_name("archive.zip.part").write_bytes(b"something else")
    path.with_name("archive.zip.part.json").write_text('{"url": "https://elsewhere/", "validator": null}')
    fetch(server, path)
    assert server.ranges == [None]
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("note", ["", "[]", "{", '{"url": 1}'])
def test_restarts_when_the_note_is_unreadable(server: HttpsServer, path: Path, note: str) -> None:
    path.with_name("archive.zip.part").write_bytes(BODY[:100])
    path.with_name("archive.zip.part.json").write_text(note)
    fetch(server, path)
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("content_range", ["bytes 5-9/10", "nonsense", f"bytes 0-{len(BODY) - 1}/{len(BODY)}"])
def test_another_range_than_requested_is_never_appended(server: HttpsServer, path: Path, content_range: str) -> None:
    server.script = [cut_after(700_000), status(206, b"x" * 5, Content_Range=content_range)]
    fetch(server, path)
    assert path.read_bytes() == BODY


def test_restarts_when_the_range_does_not_exist(server: HttpsServer, path: Path) -> None:
    server.script = [cut_after(700_000), status(416)]
    fetch(server, path, size_bytes=None)
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_retries_when_the_server_is_busy(server: HttpsServer, path: Path, code: int) -> None:
    server.script = [status(code)] * 2
    fetch(server, path)
    assert len(server.ranges) == 3
    assert path.read_bytes() == BODY


@pytest.mark.parametrize(("value", "seconds"), [("3", 3), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.001), ("soon", 0.001)])
def test_waits_for_retry_after(
    server: HttpsServer, path: Path, monkeypatch: pytest.MonkeyPatch, value: str, seconds: float
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(download_module.time, "sleep", slept.append)
    server.script = [status(503, Retry_After=value)]
    fetch(server, path)
    assert slept == [seconds]
    assert path.read_bytes() == BODY


def test_gives_up_when_retry_after_exceeds_the_limit(server: HttpsServer, path: Path) -> None:
    server.script = [status(503, Retry_After="3600")]
    with pytest.raises(PipelineError, match="503 Service Unavailable"):
        fetch(server, path)
    assert len(server.ranges) == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (status(404), "the server answered 404 Not Found; correct the url"),
        (status(403), "403 Forbidden"),
        (status(200, b"<html>sign in</html>", Content_Type="text/html; charset=utf-8"), "a web page, not the file"),
        (status(200, b"too short"), "the server's file has 9 bytes, expected 2,097,152"),
        (status(302, Location=f"http://{HOST}/archive.zip"), "not https"),
        (status(302, Location="ftp://example.org/archive.zip"), "not https"),
        (status(302, Location="file:///etc/passwd"), "not https"),
    ],
)
def test_permanent_errors_are_not_retried(
    server: HttpsServer, path: Path, answer: Callable[..., None], message: str
) -> None:
    server.script = [answer]
    with pytest.raises(InputError, match=message):
        fetch(server, path)
    assert len(server.ranges) == 1
    assert not path.exists()


def test_follows_a_redirect_to_https(server: HttpsServer, path: Path) -> None:
    server.script = [status(302, Location=server.url + "?elsewhere"), plain]
    fetch(server, path)
    assert path.read_bytes() == BODY


def test_gives_up_on_a_redirect_loop(server: HttpsServer, path: Path) -> None:
    server.script = [status(302, Location=server.url)] * 100
    with pytest.raises(InputError, match="too many redirects"):
        fetch(server, path)


def test_plain_http_is_refused(path: Path) -> None:
    with pytest.raises(InputError, match="is not an https address"):
        download("http://127.0.0.1:9/archive.zip", path, check)


def test_a_flipped_bit_is_reported_and_nothing_is_left(server: HttpsServer, path: Path) -> None:
    server.body = BODY[:-1] + bytes([BODY[-1] ^ 1])
    with pytest.raises(InputError, match="is another file"):
        fetch(server, path)
    assert names(path) == []


def test_more_bytes_than_announced_are_refused(server: HttpsServer, path: Path) -> None:
    def endless(handler) -> None:
        handler.send_response(200)
        handler.end_headers()  # no length: the body ends with the connection
        handler.send(BODY + b"more")

    server.script = [endless]
    with pytest.raises(InputError, match="sent more than 2,097,152 bytes"):
        fetch(server, path)
    assert names(path) == []


def test_a_trickle_ends_at_the_deadline(server: HttpsServer, path: Path) -> None:
    def trickle(handler) -> None:
        for byte in handler.start_file():
            if handler.files.released.wait(0.02):
                return
            handler.send(bytes([byte]))

    server.script = [trickle]
    with pytest.raises(PipelineError, match="not complete after 0 s"):
        fetch(server, path, policy=RetryPolicy(total_seconds=0.3))


def test_gives_up_when_no_more_bytes_arrive(server: HttpsServer, path: Path) -> None:
    server.script = [cut_after(1000), *[status(503)] * 100]
    with pytest.raises(PipelineError, match="1,000 bytes are kept"):
        fetch(server, path, policy=RetryPolicy(idle_seconds=0.2, backoff_seconds=0.01))
    assert len(server.ranges) < 20


def test_gives_up_when_the_server_only_repeats_the_start(server: HttpsServer, path: Path) -> None:
    def same_start(handler) -> None:
        del handler.headers["Range"]
        cut_after(1000)(handler)

    server.script = [same_start] * 100
    with pytest.raises(PipelineError, match="download failed: the request failed"):
        fetch(server, path, policy=RetryPolicy(idle_seconds=0.2, backoff_seconds=0.01))
    assert len(server.ranges) < 20


def test_a_refused_connection_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", HOST)
    with socket.socket() as unused:
        unused.bind((HOST, 0))  # bound and not listening: refuses
        with pytest.raises(PipelineError, match=r"refused.*run again to resume"):
            download(f"https://{HOST}:{unused.getsockname()[1]}/a.zip", path, check, policy=RetryPolicy(idle_seconds=0))
    assert names(path) == []


def test_an_unknown_host_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_host(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_host)
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(PipelineError, match="Name or service not known"):
        download("https://no-such-host.invalid/a.zip", path, check, policy=RetryPolicy(idle_seconds=0))


def test_an_untrusted_certificate_is_not_retried(
    server: HttpsServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(PipelineError, match="certificate is not trusted"):
        fetch(server, path)


def test_the_default_policy_gives_up_within_a_minute_without_a_network() -> None:
    policy = RetryPolicy()
    longest_request = 2 * policy.connect_seconds  # an IPv6 and an IPv4 address
    assert policy.idle_seconds + longest_request <= 60


def test_too_little_free_space_is_reported_before_the_body_is_read(
    server: HttpsServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1000, 0, 1000))
    with pytest.raises(PipelineError, match="needs 2,097,152 bytes, 1,000 are free; free some space"):
        fetch(server, path)
    assert not path.exists()


def test_a_disk_that_fills_up_is_reported(server: HttpsServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download_module._Progress, "show", full)
    with pytest.raises(PipelineError, match=r"needs 2,097,152 bytes, [\d,]+ are free"):
        fetch(server, path)
    assert not path.exists()


def test_progress_is_lines_on_stdout_without_a_terminal(
    server: HttpsServer, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(download_module, "LINE_SECONDS", 0)
    fetch(server, path)
    out, err = capsys.readouterr()
    assert "downloading: 2 of 2 MB\n" in out
    assert err == ""


def test_a_folder_that_cannot_be_created_is_reported(tmp_path: Path, server: HttpsServer) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(PipelineError, match="cannot be written: File exists; check the folder"):
        fetch(server, tmp_path / "data" / "archive.zip")
