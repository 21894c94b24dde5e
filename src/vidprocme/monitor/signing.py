"""Signatures of webhooks, by the Standard Webhooks specification (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping

PREFIX = "whsec_"


def secret_from(entropy: bytes) -> str:
    """A secret of at least 24 bytes, as it is told."""
    if len(entropy) < 24:
        raise ValueError("a secret needs 24 bytes of entropy")
    return PREFIX + base64.b64encode(entropy).decode()


def headers(secrets: Iterable[str], message_id: str, at_s: int, body: bytes) -> Mapping[str, str]:
    """What goes with a message; while a secret is being replaced it is signed with both."""
    signed = f"{message_id}.{at_s}.".encode() + body
    signatures = " ".join(f"v1,{_sign(secret, signed)}" for secret in secrets)
    return {"webhook-id": message_id, "webhook-timestamp": str(at_s), "webhook-signature": signatures}


def _sign(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
