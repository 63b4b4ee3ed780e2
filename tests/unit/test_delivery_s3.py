"""A night's files to S3: a real server process on the loopback, and servers that refuse, break and hang."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shadowdiff.delivery.s3 import S3Target, deliver_s3
from shadowdiff.errors import ConfigError, DeliveryError
from tests.buckets import CREDENTIALS, SECRET, TLS, Buckets, s3_server
from tests.clocks import long_pauses
from tests.faults import Request, faulty_server
from tests.servers import nobody

FILES = {
    "summary.md": "# Nacht 北京\n",
    "run.json": "{}\n",
    "report.html": "<html>" + "é" * 1_500_000,
    "junit.xml": "<a/>",
}


@pytest.fixture(scope="module")
def s3() -> Iterator[Buckets]:
    """One server for all tests here; each makes a bucket of its own."""
    with s3_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A directory with a night's files, and one that is not to be uploaded."""
    directory = tmp_path / "2026-11-20"
    (directory / "sub").mkdir(parents=True)
    for name, content in FILES.items():
        (directory / name).write_text(content, encoding="utf-8")
    return directory


def refused(directory: Path, target: S3Target, deadline: float = 20.0) -> str:
    """The one line that a delivery fails with; it never holds a credential."""
    with pytest.raises(DeliveryError) as caught:
        deliver_s3(directory, target, "2026-11-20", deadline=deadline)
    said = str(caught.value)
    assert "\n" not in said
    assert SECRET not in said
    assert CREDENTIALS["AWS_ACCESS_KEY_ID"] not in said
    return said


def test_every_file_arrives_as_what_it_is(s3: Buckets, night: Path) -> None:
    """Below PREFIX/NIGHT/, byte for byte, with content types that a browser opens; latest.json names them."""
    s3.make("whole")
    deliver_s3(night, S3Target.parse("s3://whole/rag/nightly/", endpoint=s3.url), "2026-11-20")
    found = s3.objects("whole")
    assert {key: item["text"] for key, item in found.items() if "latest" not in key} == {
        f"rag/nightly/2026-11-20/{name}": content for name, content in FILES.items()
    }
    assert {key.rpartition("/")[2]: item["ContentType"] for key, item in found.items()} == {
        "junit.xml": "application/xml",
        "latest.json": "application/json",
        "report.html": "text/html; charset=utf-8",
        "run.json": "application/json",
        "summary.md": "text/markdown; charset=utf-8",
    }
    assert json.loads(found["rag/nightly/latest.json"]["text"]) == {
        "night": "2026-11-20",
        "files": [f"2026-11-20/{name}" for name in sorted(FILES)],
    }


def test_uploads_travel_as_aws_wants_them(tmp_path: Path, night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS, with the checksum behind each file that botocore adds where the store is AWS: byte for byte."""
    monkeypatch.setattr("shadowdiff.delivery.s3.NOT_AWS", {})
    tls = TLS.made_in(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tls.authority))
    with s3_server(tls) as server:
        server.make("aws")
        deliver_s3(night, S3Target.parse("s3://aws/p", endpoint=server.url), "2026-11-20")
        found = server.objects("aws")
        assert {name: found[f"p/2026-11-20/{name}"]["text"] for name in FILES} == FILES
        assert server.client.head_object(Bucket="aws", Key="p/2026-11-20/run.json", ChecksumMode="ENABLED")[
            "ChecksumCRC32"
        ]


def test_latest_is_the_newest_night_whatever_comes_last(s3: Buckets, night: Path) -> None:
    """A night delivered late, or again, does not take its place; the tenth of a date is later than its second."""
    s3.make("latest")
    target = S3Target.parse("s3://latest", endpoint=s3.url)
    named = []
    for name in ("2026-11-20-2", "2026-11-20-10", "2026-11-20-2", "2026-11-19", "2026-11-21"):
        deliver_s3(night, target, name)
        named.append(json.loads(s3.objects("latest")["latest.json"]["text"])["night"])
    assert named == ["2026-11-20-2", "2026-11-20-10", "2026-11-20-10", "2026-11-20-10", "2026-11-21"]
    s3.client.put_object(Bucket="latest", Key="latest.json", Body=b'{"night": 3')
    deliver_s3(night, target, "2026-11-19")
    assert json.loads(s3.objects("latest")["latest.json"]["text"])["night"] == "2026-11-19"


def test_what_a_store_refuses_is_said_with_what_to_do(
    s3: Buckets, night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket that is not there, nobody listening, no such profile, no files: where, what, and what to do."""
    host = s3.url.removeprefix("http://")
    said = refused(night, S3Target.parse("s3://nowhere/a", endpoint=s3.url))
    assert said.startswith(f"the report was not uploaded: s3://nowhere/a at {host} answers NoSuchBucket: ")
    assert said.endswith("; make the bucket, or correct s3 in [nightly]")
    long_pauses(monkeypatch)
    with nobody() as url:
        said = refused(night, S3Target.parse("s3://whole", endpoint=url))
    assert f"s3://whole at {url.removeprefix('http://')} gives no answer: ConnectError" in said
    assert said.endswith("see whether it is up, and reachable from here")
    assert "profile (nobody) could not be found" in refused(
        night, S3Target.parse("s3://whole", endpoint=s3.url, profile="nobody")
    )
    assert "cannot be read: No such file" in refused(tmp_path / "gone", S3Target.parse("s3://whole", endpoint=s3.url))


def test_a_proxy_that_denies_is_asked_once(night: Path) -> None:
    """403 with a page of its own, or AWS's AccessDenied: nothing is tried again, and no secret is quoted."""
    page = f"<html>not with {SECRET}</html>".encode()
    denied = f"<Error><Code>AccessDenied</Code><Message>{SECRET} may\nnot</Message></Error>".encode()
    for body, told in ((page, "answers 403; allow"), (denied, "answers AccessDenied: [secret] may; allow")):

        def answer(request: Request, body: bytes = body) -> None:
            request.answer(403, body, content_type="application/xml")

        with faulty_server(answer) as server:
            said = refused(night, S3Target.parse("s3://bkt/p", endpoint=server.url))
            assert f"{told} these credentials s3:PutObject below that prefix" in said
            assert len(server.got) == 1


def test_passing_trouble_is_tried_again(night: Path) -> None:
    """500, SlowDown, a dropped connection, then 200: everything is there in the end, latest.json last."""
    troubles = iter([(500, "InternalError"), (503, "SlowDown"), None])

    def answer(request: Request) -> bool:
        trouble = next(troubles, (200, "none"))
        if trouble is not None:
            status, code = trouble
            request.answer(status, f"<Error><Code>{code}</Code></Error>".encode() if status > 200 else b"")
        return trouble is not None

    with faulty_server(answer) as server:
        deliver_s3(night, S3Target.parse("s3://bkt/p", endpoint=server.url), "2026-11-20")
        paths = [request.path for request in server.got if request.method == "PUT"]
    assert paths[:4] == ["/bkt/p/2026-11-20/junit.xml"] * 4
    assert paths[-1] == "/bkt/p/latest.json"
    assert len(paths) == 3 + len(FILES) + 1


@pytest.mark.parametrize("how", ["hangs", "drips"])
def test_a_store_that_never_answers_costs_the_deadline_only(night: Path, how: str) -> None:
    """Silent, or a byte at a time: the delivery ends, and says after how long."""

    def answer(request: Request) -> None:
        request.hang() if how == "hangs" else request.drip(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 10_000, 0.02)

    with faulty_server(answer) as server:
        said = refused(night, S3Target.parse("s3://bkt/p", endpoint=server.url), deadline=0.5)
    assert "gave no whole answer in the 0." in said


@pytest.mark.parametrize(
    ("url", "more", "said"),
    [
        ("bucket/prefix", {}, "write s3://BUCKET"),
        ("https://bucket/prefix", {}, "write s3://BUCKET"),
        ("s3://", {}, "write s3://BUCKET"),
        ("s3://b", {}, "write s3://BUCKET"),
        ("s3://bucket/../other", {}, "write s3://BUCKET"),
        ("s3://bucket/a//b", {}, "write s3://BUCKET"),
        ("s3://bucket/a?x=1", {}, "write s3://BUCKET"),
        ("s3://user:pw@bucket/a", {}, "write s3://BUCKET"),
        ("s3://bucket/a b", {}, "write s3://BUCKET"),
        ("s3://bucket", {"endpoint": "s3.example.com"}, "s3_endpoint is no URL of a store"),
        ("s3://bucket", {"endpoint": "https://me:pw@s3.example.com"}, "s3_endpoint is no URL of a store"),
        ("s3://bucket", {"endpoint": "http://s3.example.com"}, "is plain http"),
    ],
)
def test_targets_that_are_none(url: str, more: dict[str, Any], said: str) -> None:
    """Refused before a night begins, without quoting a password."""
    with pytest.raises(ConfigError, match=said) as caught:
        S3Target.parse(url, **more)
    assert "pw@" not in str(caught.value)


def test_targets_that_are_some() -> None:
    """With and without a prefix, at AWS or elsewhere, plain where that is allowed."""
    assert S3Target.parse("s3://bucket").key("2026-11-20", "run.json") == "2026-11-20/run.json"
    assert S3Target.parse("s3://bucket/a/b/").key("latest.json") == "a/b/latest.json"
    assert str(S3Target.parse("s3://bucket/a/", region="eu-central-1")) == "s3://bucket/a"
    plain = S3Target.parse("s3://bucket", endpoint="http://minio:9000", allow_plain_http=True)
    assert str(plain) == "s3://bucket at minio:9000"
