"""A worker by workers/python, for t/samples.t and t/samples_libraries.t: params say what it does."""
import logging
import sys
import threading
import time

from await_worker import Failed, Job, Over, Result, Worker

second_attempt = threading.Event()


def handle(job: Job):  # type: ignore[no-untyped-def]
    params = job.params or {}
    if params.get("do") == "events":
        job.progress({"done": 1})
        job.emit("note", {"n": 1}, "once")
        job.emit("note", {"n": 1}, "once")
        return {"ok": True}
    if params.get("do") == "stream":
        return Result((piece.upper() for piece in job.pieces(100_000)), "text/plain", "up.txt", 201)
    if params.get("do") == "fail":
        raise Failed("No way", "because", retry_in=-1, code=7)
    if params.get("do") == "crash":
        raise RuntimeError("a\0b\udcff\\u0000")
    if params.get("do") == "unwritable":
        raise Failed("No way", "because", number=float("nan"))
    if params.get("do") == "deaf":
        if job.attempt == 1:
            second_attempt.wait()
        second_attempt.set()
    if params.get("do") == "refused":
        return Result(b"x", "text/plain\r\nX: y")
    if params.get("do") == "nothing":
        return None
    if params.get("do") == "stubborn":
        time.sleep(600)
    text = job.payload
    if not text:
        raise ValueError("There is no text.")
    if job.over.wait(float(params.get("seconds", 0))):
        raise Over(job.why)
    return Result(text.upper(), "text/plain")


logging.basicConfig(level=logging.INFO)
Worker("python-library", handle, concurrency=int(sys.argv[1]), grace=float(sys.argv[2])).run()
