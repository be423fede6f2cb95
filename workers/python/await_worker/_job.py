"""A claimed job, as its handler sees it."""
from __future__ import annotations

import json
import re
import threading
import uuid
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Union

PIECE = 1 << 20  # bytes


class Result(NamedTuple):
    """A result with more than bytes. An iterable body is stored piece by piece."""

    body: Union[bytes, Iterable[bytes]]
    content_type: str = "application/octet-stream"
    file_name: Optional[str] = None
    status: int = 200


Answer = Union[Result, bytes, str, Dict[str, Any], List[Any]]


class Failed(Exception):
    """Fails the attempt with a problem. retry_in: seconds; None: the queue's back-off; negative: no further attempt."""

    def __init__(self, title: str, detail: str = "", retry_in: Optional[float] = None, **members: Any) -> None:
        super().__init__(title, detail)
        self.problem = {"title": title, "detail": detail, **members}
        self.retry_in = retry_in


class Over(Exception):
    """Raised by the methods of a job that is over. A handler lets it through."""


class Job:
    """The event `over` is set when the work should end; `why` is then "cancelled", "lost" or "stopped"."""

    def __init__(self, row: Dict[str, Any], sql: Callable[..., Any], publish: Callable[[str], None]) -> None:
        self._sql, self._publish = sql, publish
        self._receipt, self._payload = row["receipt"], row["payload"]
        self.id, self.attempt, self.queue = str(row["id"]), int(row["attempt"]), str(row["queue"])
        self.content_type, self.file_name = str(row["content_type"]), row["file_name"]
        self.params, self.deadline, self.payload_size = row["params"], row["deadline"], int(row["payload_size"])
        self.lease: float = row["lease_for"].total_seconds()
        self.over, self.why = threading.Event(), ""

    @property
    def payload(self) -> bytes:
        """All of it, however large."""
        return bytes(self._payload) if self._payload is not None else b"".join(self.pieces())

    def pieces(self, size: int = PIECE) -> Iterator[bytes]:
        """The payload in pieces, for one that does not fit into memory."""
        for offset in range(0, self.payload_size, size):
            yield bytes(self._checked(self._call("payload", offset, size)))

    def progress(self, progress: Any) -> None:
        """Reports progress (JSON), which clients get as an event."""
        self.beat(progress)
        self._checked(True)
        self._publish(self.id)

    def emit(self, type: str, data: Any = None, event_id: Optional[str] = None) -> None:
        """Adds an event of your own. With an event_id, a repetition within a day changes nothing."""
        self._checked(self._call("emit", type, to_json(data), event_id or str(uuid.uuid4())))
        self._publish(self.id)

    # What follows is the worker's.

    def beat(self, progress: Any = None) -> None:
        answer = self._call("heartbeat", to_json(progress))
        if answer != "ok":
            self.end(answer)

    def end(self, why: str) -> None:
        self.why = self.why or why
        self.over.set()

    def complete(self, answer: Any) -> bool:
        result = to_result(answer)
        body = result.body if isinstance(result.body, bytes) else None
        if not isinstance(result.body, bytes):
            pieces = (part[at : at + PIECE] for part in result.body for at in range(0, len(part), PIECE))
            for n, piece in enumerate(pieces):
                self._checked(self._call("append_result", n, piece))
        return bool(self._call("complete", body, result.content_type, result.status, result.file_name))

    def fail(self, error: BaseException) -> bool:
        if self.over.is_set():  # a failure ends the lease of what was cancelled; what is given back must not fail
            return self.why == "cancelled" and bool(self._call("fail", "{}"))
        problem, retry_in = {"title": type(error).__name__, "detail": str(error)[:4000]}, None
        if isinstance(error, Failed):
            problem, retry_in = error.problem, None if error.retry_in is None else f"{error.retry_in:f} s"
        return bool(self._call("fail", to_json(problem), retry_in))

    def release(self) -> bool:
        return bool(self._call("release"))

    def _call(self, function: str, *values: Any) -> Any:
        places = ", ".join(["%s"] * (2 + len(values)))
        return self._sql(f"SELECT await.{function}({places}) AS answer", self.id, self._receipt, *values)[0]["answer"]

    def _checked(self, answer: Any) -> Any:
        if answer is None:
            self.end("lost")
        if self.over.is_set():
            raise Over(self.why)
        return answer


def to_result(answer: Any) -> Result:
    if isinstance(answer, Result):
        return answer
    if isinstance(answer, bytes):
        return Result(answer)
    if isinstance(answer, str):
        return Result(answer.encode(), "text/plain")
    if isinstance(answer, (dict, list)):
        return Result((to_json(answer) or "").encode(), "application/json")
    raise TypeError(f"a handler returns bytes, str, dict, list or Result, not {type(answer).__name__}")


def to_json(value: Any) -> Optional[str]:
    """As jsonb takes it: without NUL, and without halves of surrogate pairs."""
    if value is None:
        return None
    text = json.dumps(value, ensure_ascii=False, default=str, allow_nan=False).encode(errors="replace").decode()
    return re.sub(r"\\u0000|\\.", lambda found: found[0].replace("\\u0000", "\\ufffd"), text)
