"""Our signatures, read by the other side's library."""

from __future__ import annotations

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from vidprocme.monitor.signing import headers, secret_from


def test_the_other_side_takes_what_we_sign() -> None:
    import time

    secret, other = secret_from(b"x" * 32), secret_from(b"y" * 32)
    body, now_s = b'{"a": 1}', int(time.time())
    assert Webhook(secret).verify(body, dict(headers([secret], "msg_1", now_s, body))) == {"a": 1}
    both = dict(headers([secret, other], "msg_1", now_s, body))
    assert Webhook(secret).verify(body, both) and Webhook(other).verify(body, both)
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(body, dict(headers([secret], "msg_1", now_s, body)))
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(b'{"a": 2}', dict(headers([secret], "msg_1", now_s, body)))


def test_a_secret_has_enough_chance() -> None:
    with pytest.raises(ValueError, match="24 bytes"):
        secret_from(b"short")
