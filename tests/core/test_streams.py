"""Standard output and error: nothing secret, any character, no error after the reader has gone."""

import errno
import io
import logging
import sys
import warnings

import pytest

from tiny_imagenet.core.streams import SafeStream, protect_streams, redact, secrets_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://ann:s3cret@127.0.0.1:9: no answer; start it", "http://***@127.0.0.1:9: no answer; start it"),
        ("postgresql+psycopg://ann:p%40ss@db/mlflow?sslmode=require", "postgresql+psycopg://***@db/mlflow?***"),
        ("https://t0ken@host/data.zip", "https://***@host/data.zip"),
        ("proxy http://ann:a/b?c#d@proxy:3128", "proxy http://***@proxy:3128"),
        ("http://ann:p@ss@host/x", "http://***@host/x"),
        ("'https://host/a.zip?sig=abc&se=2030': 403", "'https://host/a.zip?***': 403"),
        ("https://host/a.zip?t0ken; correct the url", "https://host/a.zip?***; correct the url"),
        ("exceeded with url: /a.zip?token=abc (Caused by", "exceeded with url: /a.zip?*** (Caused by"),
        ("Authorization: Basic YW5uOnMzY3JldA==", "Authorization: Basic ***"),
        ("{'Proxy-Authorization': b'Bearer abc.def'}", "{'Proxy-Authorization': b'Bearer ***'}"),
        ("http://ann:s@a/x and http://bob:t@b/y", "http://***@a/x and http://***@b/y"),
        ("http://ann:p@ss/word@host/x", "http://***@host/x"),
        ("https://t0ken@host:80/a@2.zip", "https://***@host:80/a@2.zip"),
        ("(/login?next=http://host/a?t0ken)", "(/login?***)"),
    ],
)
def test_what_is_secret_in_an_address_is_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/ann/mlruns/mlflow.db: is locked; wait",
        "http://127.0.0.1:5000/#/experiments/1?workflowType=machine_learning&viewStateShareKey=runs",
        "models:/digits@champion, train@vgg, HEAD:vgg, ann@example.org",
        "did you mean 'lr'? choose a=b",
        "photo.jpg?w=600: cannot be read; Basic trainers-shoes",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert redact(text) == text


def test_secrets_of_the_environment_are_hidden_wherever_they_stand() -> None:
    secrets = secrets_of(
        {
            "MLFLOW_TRACKING_URI": "https://ann:long%2Fsecret@host/x",
            "HTTPS_PROXY": "http://ann:another-one@proxy:3128",
            "MLFLOW_TRACKING_TOKEN": "canary-token",
            "TOKENIZERS_PARALLELISM": "disabled by us",
            "PATH": "/usr/bin:/bin",
            "DB_PASSWORD": "word",  # too short: it may be a part of other text
        }
    )
    assert secrets == {"long%2Fsecret", "long/secret", "another-one", "canary-token"}
    text = "key (long/secret) of user 'ann', long%2Fsecret, another-one, canary-token; a word"
    assert redact(text, secrets) == "key (***) of user 'ann', ***, ***, ***; a word"


def test_an_answer_may_look_like_a_path_with_a_query_or_a_header() -> None:
    answer = '{"picture": "/home/ann/photo.jpg?w=600", "class": "Basic trainers-shoes"}'
    assert redact(answer, paths=False) == answer
    assert redact("https://ann:word@host/a?b=c", paths=False) == "https://***@host/a?***"


@pytest.mark.parametrize(
    "text",
    [
        "://a:" * 200_000 + "?",
        "://a:" * 200_000 + "@",
        "://a@/" * 200_000,
        "://" * 300_000 + "@?",
        "A1b2" * 250_000 + "?",
        "?" * 1_000_000,
        "?a=" * 300_000,
        "http://a?" + ")" * 1_000_000 + "x",
        "Authorization" + ": " * 500_000,
    ],
)
def test_a_text_of_a_megabyte_takes_linear_time(text: str) -> None:
    """It takes hours in quadratic time."""
    assert len(redact(text)) <= 2 * len(text)


def test_a_path_is_no_secret() -> None:
    path = "/usr/local/bin:/opt/homebrew/opt/python@3.12/bin:/opt/another/python@3.11/bin"
    models = "http://host:8080/models/digits@champion"
    assert secrets_of({"PATH": path, "MODELS": models, "MAIL": "mailto:ann@example.org"}) == set()


def test_each_address_of_a_variable_has_its_secret() -> None:
    value = "http://ann:first-one@a,http://bob:second-one@b http://c:third/one@c|https://d:fo@urth-one@d/x@y"
    assert secrets_of({"PROXIES": value}) >= {"first-one", "second-one", "third/one", "fo@urth-one"}


def test_of_two_secrets_that_begin_alike_nothing_is_left() -> None:
    secrets = frozenset(f"{'canary-token'}{'-more' * number}" for number in range(20))
    for secret in secrets:
        assert redact(f"a {secret} b", secrets) == "a *** b"


def test_all_that_is_printed_passes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:s3cret-word@host")
    protect_streams()
    protect_streams()
    assert isinstance(sys.stdout, SafeStream)
    print("View run at: http://ann:s3cret-word@host/#/runs/1")
    logging.getLogger("library").warning("s3cret-word")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("http://ann:s3cret-word@host", stacklevel=1)
    with pytest.raises(ZeroDivisionError) as caught:
        raise ZeroDivisionError("http://ann:s3cret-word@host")
    sys.excepthook(caught.type, caught.value, caught.tb)
    out, err = capsys.readouterr()
    assert out == "View run at: http://***@host/#/runs/1\n"
    assert "s3cret-word" not in err
    assert err.count("http://***@host") == 2


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", b"\\xb1 \\u0142 \\U0001f3c3"), ("latin-1", b"\xb1 \\u0142 \\U0001f3c3")]
)
def test_any_character_can_be_printed(encoding: str, shown: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file, encoding=encoding))
    protect_streams()
    print("± ł 🏃", flush=True)
    assert file.getvalue() == shown + b"\n"


class Closed(io.RawIOBase):
    """A file whose reader has gone."""

    def __init__(self, number: int) -> None:
        self.number = number

    def writable(self) -> bool:
        return True

    def write(self, _data: object) -> int:
        raise OSError(self.number, "gone")


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO])
def test_a_closed_pipe_or_terminal_is_no_error(number: int) -> None:
    stream = SafeStream(io.TextIOWrapper(Closed(number), write_through=True), frozenset())  # type: ignore[type-var]
    print("a line", file=stream, flush=True)  # type: ignore[call-overload]


def test_a_full_disk_is_one() -> None:
    stream = SafeStream(io.TextIOWrapper(Closed(errno.ENOSPC), write_through=True), frozenset())  # type: ignore[type-var]
    with pytest.raises(OSError, match="gone"):
        print("a line", file=stream, flush=True)  # type: ignore[call-overload]


def test_answers_go_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    protect_streams()
    for stream in (sys.stdout, sys.stderr):
        print("/a/photo.jpg?w=600", file=stream)
    assert capsys.readouterr() == ("/a/photo.jpg?w=600\n", "/a/photo.jpg?***\n")


def test_a_process_without_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    protect_streams()
    print("nowhere")
