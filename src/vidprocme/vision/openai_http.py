"""Any OpenAI-style server as a Describer: llama-server, vLLM, Ollama, LM Studio, or our own engine process."""

from __future__ import annotations

import base64
import ipaddress
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any
from urllib.parse import urlsplit

import httpx

from vidprocme.core.errors import Fatal, Retryable, VidprocmeError
from vidprocme.vision import blind
from vidprocme.vision.answers import frame_error, judge_refusal, read_answer, server_down
from vidprocme.vision.base import FrameResult, ModelInfo
from vidprocme.vision.prompt import FRAME_CAPTION

CONNECT_S = 3.0
FRAME_S = 30.0  # the least time a frame gets; slow models earn more by their own average
SLOWER = 8.0  # a frame may take this many times the average
MAX_TOKENS = 80  # a caption of 240 characters has about 60
MOST_SLOTS = 32
SILENT_S = 2.0  # a person waits for the answer whether the server is there
HUNG_FRAMES = 3  # so many frames in a row without an answer: the server hangs, not the frame


class OpenAiHttp:
    """One model of one server. `describe` keeps as many requests in flight as the server has slots."""

    def __init__(
        self,
        model: str,
        base_url: str,
        api_key: str = "",
        *,
        name: str = "",
        slots: int | None = None,
        sight_key: str = "",
        frame_s: float = FRAME_S,
        max_tokens: int = MAX_TOKENS,
        ours: bool = False,
    ) -> None:
        """
        Args:
            model: our id of it, for people.
            base_url: where `/chat/completions` is, usually ending in `/v1`.
            name: what the server calls it; empty: the only one it has.
            slots: requests in flight; None: as many as the server says, else 1.
            frame_s: the least time limit for a frame, in seconds.
            sight_key: what cannot change without changing whether the model sees; see `blind.check_sight`.
            ours: the server is an engine of our own, with nobody else's work in it. One frame without an answer then means
                that it hangs: the batch ends there, so that its owner can put another in its place.
        """
        self._model, self._base_url, self._name = model, base_url.rstrip("/"), name
        self._slots_wished, self._slots = slots, slots or 1
        self._sight_key, self._frame_s, self._max_tokens = sight_key, frame_s, max_tokens
        self._average_s = 0.0
        self._logprobs = True
        self._hung = 0
        self._lock = threading.Lock()  # for the four above it: requests run on several threads
        self._ours = ours
        self._given_up = False  # our engine hangs: no thread sends it another frame
        # A proxy from the environment has no business between two processes of one machine.
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            trust_env=not _is_loopback(base_url),
            follow_redirects=False,
            timeout=httpx.Timeout(FRAME_S, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=MOST_SLOTS),
        )

    @property
    def slots(self) -> int:
        """Requests in flight at once. Known after `load`."""
        return self._slots

    def load(self) -> ModelInfo:
        """Ask the server what it has, and check that the model sees.

        Raises:
            Fatal: MODEL_AUTH, MODEL_MISSING, NO_MULTIMODAL, MODEL_BLIND, MODEL_BROKEN.
            Retryable: MODEL_SERVER_DOWN, MODEL_TIMEOUT, MODEL_BUSY.
        """
        self._find_model()
        props = self._props()
        total = props.get("total_slots")
        if self._slots_wished is None and isinstance(total, int):
            self._slots = max(1, min(MOST_SLOTS, total))
        version = str(props.get("build_info", ""))
        blind.check_sight(
            self._model,
            lambda picture: self._ask(picture, FRAME_CAPTION.text),
            key=self._sight_key,
        )
        return ModelInfo(self._model, "openai_http", self._base_url, version=version)

    def describe(
        self, frames: Sequence[bytes], prompt: str, *, on_done: Callable[[int], None] | None = None
    ) -> list[FrameResult]:
        """One result for every frame, in order. Raises what concerns the model; the work on the frame is then lost.

        Raises:
            Fatal, Retryable: as `load`; and whatever `on_done` raises.
        """
        results: list[FrameResult | None] = [None] * len(frames)
        with ThreadPoolExecutor(self._slots, thread_name_prefix="describe") as pool:
            asked = {pool.submit(self._ask, frame, prompt): n for n, frame in enumerate(frames)}
            try:
                for count, future in enumerate(as_completed(asked), 1):
                    results[asked[future]] = future.result()
                    if on_done is not None:
                        on_done(count)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)  # those not begun; the others are waited for
                raise
        return [result for result in results if result is not None]

    def close(self) -> None:
        self._client.close()

    def _ask(self, frame: bytes, prompt: str) -> FrameResult:
        """Words for one frame; a request that was too slow or failed inside the server is sent once more."""
        if not frame.startswith(b"\xff\xd8\xff"):
            # Not sent at all: llama.cpp hands what it cannot read to programs that play videos.
            return frame_error("BAD_FRAME", "This frame is not a JPEG picture.", "", first_bytes=frame[:8].hex())
        if self._given_up:
            raise self._hangs(1, {})
        result = self._send(frame, prompt)
        again = ("MODEL_FAULT",) if self._ours else ("MODEL_FAULT", "MODEL_TIMEOUT")
        if result.error is not None and result.error.code in again:
            result = self._send(frame, prompt)
        if result.error is None or result.error.code != "MODEL_TIMEOUT":
            with self._lock:
                self._hung = 0
            return result
        with self._lock:
            self._hung += 1
            hung = self._hung
        if self._ours or hung >= HUNG_FRAMES:
            self._given_up = self._ours
            raise self._hangs(hung, result.error.evidence)
        return result

    def _hangs(self, frames: int, evidence: dict[str, Any]) -> Retryable:
        count = "a frame" if frames == 1 else f"{frames} frames in a row"
        return Retryable(
            "MODEL_TIMEOUT",
            f"The model server at {self._base_url} has left {count} without an answer.",
            "Look whether it hangs or is overloaded; the work is tried a few times again, then by `vidprocme jobs retry`.",
            evidence,
        )

    def _send(self, frame: bytes, prompt: str) -> FrameResult:
        limit_s = max(self._frame_s, SLOWER * self._average_s)
        try:
            response = self._client.post(
                f"{self._base_url}/chat/completions", json=self._body(frame, prompt), timeout=_timeout(limit_s)
            )
        except (httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout):
            return frame_error("MODEL_TIMEOUT", f"The model had no answer within {limit_s:.0f} s.", "", limit_s=limit_s)
        except httpx.TransportError as error:
            raise server_down(self._base_url, _why(error)) from error
        if response.status_code != 200:
            if response.status_code == 400 and self._logprobs and "logprob" in response.text.lower():
                self._logprobs = False  # a server without them: a caption is worth more than its confidence
                return self._send(frame, prompt)
            verdict = judge_refusal(response.status_code, response.text, self._name or self._model, self._base_url)
            if isinstance(verdict, VidprocmeError):
                raise verdict
            return verdict
        with self._lock:
            took_s = response.elapsed.total_seconds()
            self._average_s = took_s if not self._average_s else 0.8 * self._average_s + 0.2 * took_s
        return read_answer(_json(response))

    def _body(self, frame: bytes, prompt: str) -> dict[str, Any]:
        """The picture goes before the words: small models answer worse the other way round."""
        url = "data:image/jpeg;base64," + base64.b64encode(frame).decode()
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": prompt}]
        body: dict[str, Any] = {
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": self._max_tokens,
        }
        if self._name:
            body["model"] = self._name
        if self._logprobs:
            body |= {"logprobs": True, "top_logprobs": 1}
        return body

    def _find_model(self) -> None:
        """Check that the server has the model; without a name, take the only one there is."""
        response = self._get(f"{self._base_url}/models")
        if response.status_code in (404, 405):
            return  # a server without a list: its first answer will tell
        if response.status_code != 200:
            verdict = judge_refusal(response.status_code, response.text, self._name or self._model, self._base_url)
            if isinstance(verdict, VidprocmeError):
                raise verdict
            raise server_down(self._base_url, f"HTTP {response.status_code} for its list of models")
        body = _json(response)
        listed = body.get("data") if isinstance(body, dict) else None
        names = [str(item["id"]) for item in listed or [] if isinstance(item, dict) and "id" in item]
        if not self._name and len(names) == 1:
            self._name = names[0]
        if names and self._name not in names:
            missing = f"has no model {self._name!r}" if self._name else "has several models, and none was named"
            raise Fatal(
                "MODEL_MISSING",
                f"The server at {self._base_url} {missing}.",
                "Name one of these when adding it: " + ", ".join(names[:20]),
                {"server": self._base_url, "models": names[:100]},
            )

    def _props(self) -> dict[str, Any]:
        """What llama-server says about itself; {} for servers that do not know the question."""
        response = self._get(self._base_url.removesuffix("/v1") + "/props")
        body = _json(response) if response.status_code == 200 else None
        return body if isinstance(body, dict) else {}

    def _get(self, url: str) -> httpx.Response:
        try:
            return self._client.get(url, timeout=_timeout(10.0))
        except httpx.TransportError as error:
            raise server_down(self._base_url, _why(error)) from error


def why_silent(base_url: str, api_key: str = "", limit_s: float = SILENT_S) -> str:
    """Ask a server once whether it is there; "" when it is, else why it is of no use now. Raises nothing.

    A server without a list of models (404) is there. `limit_s` is for connecting, and for the answer's beginning.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        with (
            httpx.Client(headers=headers, trust_env=not _is_loopback(base_url), timeout=limit_s) as client,
            client.stream("GET", f"{base_url.rstrip('/')}/models") as response,
        ):
            status = response.status_code
    except httpx.TimeoutException:
        return f"no answer within {limit_s:g} s"
    except httpx.TransportError as error:
        return _why(error)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, ImportError) as error:  # an odd address, key or proxy
        return f"{type(error).__name__}: {error}"
    if status in (401, 403):
        return f"it refuses our key (HTTP {status})"
    return "" if status < 300 or status in (404, 405) else f"HTTP {status}"


def _timeout(limit_s: float) -> httpx.Timeout:
    return httpx.Timeout(limit_s, connect=min(CONNECT_S, limit_s))


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _why(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
