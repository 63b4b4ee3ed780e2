"""A real S3 server process on the loopback (moto's), and an environment with credentials for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from tests.servers import listening

SECRET = "planted-s3-secret-91c2"  # noqa: S105 planted, to be found where it leaks
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTED7F3A",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
}
"""What points boto3 at no account of anybody's."""


@dataclass(frozen=True)
class TLS:
    """Files of a certificate for localhost, and of the authority that made it."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def made_in(cls, directory: Path) -> TLS:
        """New ones."""
        files = cls(*(directory / name for name in ("authority.pem", "certificate.pem", "key.pem")))
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(files.authority)
        issued.private_key_pem.write_to_path(files.key)
        issued.cert_chain_pems[0].write_to_path(files.certificate)
        return files


@dataclass(frozen=True)
class Buckets:
    """A running server."""

    url: str
    client: Any
    """boto3's, with credentials of its own."""

    def make(self, bucket: str) -> None:
        """A bucket, empty."""
        self.client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    def objects(self, bucket: str) -> dict[str, Mapping[str, Any]]:
        """What it holds by key: boto3's answer for each, with the content in `text`."""
        keys = [item["Key"] for item in self.client.list_objects_v2(Bucket=bucket).get("Contents", ())]
        found = {key: self.client.get_object(Bucket=bucket, Key=key) for key in keys}
        return {key: {**answer, "text": answer["Body"].read().decode()} for key, answer in found.items()}


@contextmanager
def s3_server(tls: TLS | None = None) -> Iterator[Buckets]:
    """A server of its own process, without buckets; over TLS with a certificate."""
    import boto3

    options = [] if tls is None else ["-c", str(tls.certificate), "-k", str(tls.key)]
    process, port = listening(lambda port: [sys.executable, "-m", "moto.server", "-p", str(port), *options])
    try:
        url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
        keys = {"aws_access_key_id": "tests", "aws_secret_access_key": "tests"}
        authority = tls and str(tls.authority)
        yield Buckets(url, boto3.client("s3", endpoint_url=url, region_name="eu-central-1", verify=authority, **keys))
    finally:
        process.kill()
        process.wait()
