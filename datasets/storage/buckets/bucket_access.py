"""Server and credentials of a bucket, as the environment gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datasets.storage.locations import setting

if TYPE_CHECKING:
    from obstore.store import S3Config


@dataclass(frozen=True, slots=True)
class BucketAccess:
    """Server and credentials, under the names that every S3 tool reads; no secret is in the `repr`.

    Without an endpoint the server is Amazon's of the region. Without a key the client takes the
    credentials that the machine or the container gives.
    """

    endpoint: str = ""
    region: str = ""
    key_id: str = ""
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls) -> BucketAccess:
        """Return the access in the environment or in `.env`."""
        return cls(
            endpoint=setting("AWS_ENDPOINT_URL_S3") or setting("AWS_ENDPOINT_URL"),
            region=setting("AWS_REGION") or setting("AWS_DEFAULT_REGION") or "us-east-1",
            key_id=setting("AWS_ACCESS_KEY_ID"),
            secret=setting("AWS_SECRET_ACCESS_KEY"),
            token=setting("AWS_SESSION_TOKEN"),
        )

    def config(self) -> S3Config:
        """Return the parts that are set, as obstore's `S3Store` reads them."""
        config: S3Config = {"region": self.region}
        if self.endpoint:
            config["endpoint"] = self.endpoint
        if self.key_id:
            config["access_key_id"] = self.key_id
            config["secret_access_key"] = self.secret
        if self.token:
            config["session_token"] = self.token
        return config
