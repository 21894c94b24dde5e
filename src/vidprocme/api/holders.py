"""Who holds which key, and whose browser signed in with one. Of a key only its hash is kept, and of a cookie too."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidprocme.api.access import Caller
from vidprocme.api.schemas.access import Scope
from vidprocme.api.schemas.base import time_text
from vidprocme.core.errors import BadWish
from vidprocme.queue.kept import Record, RecordStore

if TYPE_CHECKING:
    from vidprocme.api.desk import Desk

KEY, USED, SESSION = "key", "key-used", "session"
USED_TTL_S = 400 * 86400
SEEN_S = 5.0  # keys that were there a moment ago: an anonymous caller does not make us read them all again
MINUTE_MS = 60_000
ENVIRONMENT = "key_environment"
SESSION_TTL_S = 30 * 86400  # since it was last used
RENEW_S = 86400.0
KNOWN_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Key:
    """See KeyDocument."""

    name: str
    scope: Scope
    tenant: str | None
    sha256: str
    prefix: str
    created_ms: int
    expires_ms: int | None


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def id_of(sha256: str) -> str:
    """A key is found by its hash; half of it is its id."""
    return f"key_{sha256[:32]}"


class Keys:
    """The keys of a house, and which of them a caller holds."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._seen_s = float("-inf")
        self._used: dict[str, int] = {}  # id: the minute that was written last

    @property
    def store(self) -> RecordStore[Key]:
        return self._desk.records(KEY, Key)

    def exist(self) -> bool:
        """Is there any? Then whoever has none is asked for one, on this machine too. A key that expired counts."""
        if self._desk.house.settings.admin_key:
            return True
        if time.monotonic() - self._seen_s < SEEN_S:
            return True
        if not self.store.list():
            return False
        self._seen_s = time.monotonic()
        return True

    def caller(self, secret: str) -> Caller:
        """Who holds this key.

        Raises:
            BadWish: KEY_UNKNOWN, KEY_EXPIRED.
        """
        sha256 = hash_of(secret)
        return self.holder(self.id(secret), sha256)

    def id(self, secret: str) -> str:
        sha256 = hash_of(secret)
        return ENVIRONMENT if self._is_environments(sha256) else id_of(sha256)

    def holder(self, key_id: str, sha256: str | None = None) -> Caller:
        """Who holds the key of that id, whose secret has this hash (None: that was seen before, at a sign-in).

        Raises:
            BadWish: KEY_UNKNOWN, KEY_EXPIRED.
        """
        if key_id == ENVIRONMENT and (sha256 is None or self._is_environments(sha256)):
            if self._desk.house.settings.admin_key:
                return Caller("environment", Scope.ADMIN, key_id=ENVIRONMENT)
        else:
            record = self.store.get(key_id)
            if record is not None and (sha256 is None or hmac.compare_digest(record.doc.sha256, sha256)):
                return self._held(record)
        raise BadWish(
            "KEY_UNKNOWN",
            "This key is not known here; it may have been revoked.",
            "Ask for a new one, or sign in again.",
        )

    def _held(self, record: Record[Key]) -> Caller:
        key, now_ms = record.doc, self._desk.house.clock.now_ms()
        if key.expires_ms is not None and key.expires_ms <= now_ms:
            raise BadWish(
                "KEY_EXPIRED",
                f"The key {key.name!r} expired at {time_text(key.expires_ms)}.",
                "Ask an admin for a new one: vidprocme keys add",
            )
        minute = now_ms // MINUTE_MS
        if self._used.get(record.id) != minute:
            self._used[record.id] = minute
            self._desk.notes(USED).put(record.id, str(minute * MINUTE_MS), USED_TTL_S)
        return Caller(key.name, key.scope, key.tenant, record.id)

    def _is_environments(self, sha256: str) -> bool:
        mine = self._desk.house.settings.admin_key
        return bool(mine) and hmac.compare_digest(hash_of(mine), sha256)


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in. `id` is the hash of what the cookie holds."""

    id: str
    renewed: bool = False  # just now: the cookie too


class Sessions:
    def __init__(self, desk: Desk, keys: Keys) -> None:
        self._desk, self._keys = desk, keys
        self._renewed_s: dict[str, float] = {}  # by this process; one that it does not know is renewed

    def open(self, secret: str) -> tuple[str, Caller]:
        """A new sign-in with a key: what the cookie is to hold.

        Raises:
            BadWish: KEY_UNKNOWN, KEY_EXPIRED.
        """
        caller = self._keys.caller(secret)
        token = secrets.token_urlsafe(32)
        # The key's own hash too: an admin key of the environment that was changed ends its sign-ins.
        self._desk.notes(SESSION).put(hash_of(token), f"{caller.key_id} {hash_of(secret)}", SESSION_TTL_S)
        return token, caller

    def caller(self, token: str, *, renew: bool = True) -> tuple[Caller, Session]:
        """Who signed in with this cookie.

        Raises:
            BadWish: SESSION_ENDED.
        """
        id_ = hash_of(token)
        notes = self._desk.notes(SESSION)
        kept = notes.get(id_)
        if kept is None:
            raise _ended()
        key_id, _, sha256 = kept.partition(" ")
        try:
            caller = self._keys.holder(key_id, sha256)
        except BadWish:
            notes.delete(id_)
            raise _ended() from None
        due = renew and time.monotonic() - self._renewed_s.get(id_, float("-inf")) > RENEW_S
        if due:
            if len(self._renewed_s) >= KNOWN_MOST:
                self._renewed_s.clear()
            self._renewed_s[id_] = time.monotonic()
            notes.renew(id_, SESSION_TTL_S)
        return caller, Session(id_, due)

    def close(self, session: Session) -> None:
        self._desk.notes(SESSION).delete(session.id)


def _ended() -> BadWish:
    return BadWish("SESSION_ENDED", "This sign-in has ended, or its key was revoked.", "Sign in again with a key.")
