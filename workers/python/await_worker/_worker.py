"""The loop: claims, runs, keeps leases, stops."""
from __future__ import annotations

import logging
import os
import random
import signal
import socket
import threading
import time
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

from ._job import Answer, Failed, Job, Over
from ._notify import Notify
from ._redis import Redis

driver: Any = import_module("psycopg2" if find_spec("psycopg2") else "psycopg")
log = logging.getLogger("await_worker")
AWAY = (driver.OperationalError, driver.InterfaceError)


class Worker:
    """Runs `handler` for each job of the queues, `concurrency` at once, each in a thread, until SIGTERM or stop().

    postgres: a conninfo, else $AWAIT_POSTGRES, else libpq's variables. redis: a URL, else $AWAIT_REDIS, else none.
    beat: seconds between heartbeats. grace: seconds for the jobs that run at a stop; then they are given back.
    """

    def __init__(self, queues: Union[str, Sequence[str]], handler: Callable[[Job], Answer], *, concurrency: int = 1,
                 postgres: Optional[str] = None, redis: Optional[str] = None,
                 beat: float = 2.0, grace: float = 25.0) -> None:
        self.queues = [queues] if isinstance(queues, str) else list(queues)
        self.handler, self.concurrency, self.beat, self.grace = handler, concurrency, beat, grace
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._conninfo = os.environ.get("AWAIT_POSTGRES", "") if postgres is None else postgres
        self._idle: List[Any] = []  # connections to PostgreSQL
        self._jobs: Dict[str, Job] = {}
        self._slots = threading.Semaphore(concurrency)
        self._stopping, self._woken, self._beat_now = threading.Event(), threading.Event(), threading.Event()
        url = os.environ.get("AWAIT_REDIS", "") if redis is None else redis
        self._bus: Union[Redis, Notify] = (
            Redis(url, self.queues, self._woken, self._beat_now) if url
            else Notify(self._connect, self.queues, self._woken, self._beat_now))

    def run(self) -> None:
        """Returns when it was stopped and its jobs have ended or were given back."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self.stop())
        for task in (self._keep_leases, self._bus.listen):
            threading.Thread(target=task, daemon=True).start()
        while not self._stopping.is_set():
            if not self._slots.acquire(timeout=0.5):
                continue
            self._woken.clear()
            job = self._claim()
            if job:
                threading.Thread(target=self._work, args=(job,), daemon=True).start()
            else:
                self._slots.release()
                self._woken.wait(1)
        until = time.monotonic() + self.grace
        while self._jobs and time.monotonic() < until:
            time.sleep(0.02)
        for job in list(self._jobs.values()):
            job.end("stopped")
            job.release()
        log.info("stopped")

    def stop(self) -> None:
        self._stopping.set()
        self._woken.set()

    def sql(self, statement: str, *values: Any, patience: float = 60) -> List[Dict[str, Any]]:
        """Runs a statement in a transaction of its own; again, for `patience` seconds, while PostgreSQL is away."""
        until, pause = time.monotonic() + patience, 0.1
        while True:
            connection = None
            try:
                connection = self._idle.pop() if self._idle else self._connect()
                with connection.cursor() as cursor:
                    cursor.execute(statement, values)
                    names = [column[0] for column in cursor.description]
                    rows = [dict(zip(names, row)) for row in cursor.fetchall()]
                self._idle.append(connection)
                return rows
            except AWAY as error:
                if connection:
                    connection.close()
                if time.monotonic() > until:
                    raise
                log.warning("PostgreSQL: %s", str(error).strip())
                time.sleep(pause * random.uniform(0.5, 1))
                pause = min(2 * pause, 5)
            except driver.Error:  # the statement is refused, the connection is well
                self._idle.append(connection)
                raise

    def publish(self, id: str) -> None:
        """Tells clients of the newest event at once. Without it they hear of it at the next await_reread."""
        if self._bus.connected:
            for hint in self.sql("SELECT channel, message FROM await.hint(%s)", id):
                self._bus.publish(hint["channel"], hint["message"])

    def _connect(self) -> Any:
        patience = dict(connect_timeout=10, keepalives_idle=10, keepalives_interval=5, keepalives_count=3)
        if driver.__name__ == "psycopg":
            # no prepared statements, because of poolers
            return driver.connect(self._conninfo, autocommit=True, prepare_threshold=None, **patience)
        connection = driver.connect(self._conninfo, **patience)
        connection.autocommit = True
        return connection

    def _claim(self) -> Optional[Job]:
        try:
            rows = self.sql("SELECT * FROM await.claim(%s, %s, 1, pieces => true)", self.queues, self.name, patience=0)
        except AWAY as error:
            log.error("PostgreSQL: %s", str(error).strip())
            return None
        if not rows:
            return None
        job = Job(rows[0], self.sql, self.publish)
        self._jobs[job.id] = job
        if job.lease / 3 < self.beat:
            self._beat_now.set()
        return job

    def _work(self, job: Job) -> None:
        try:
            try:
                ours = job.complete(self.handler(job))
            except Failed as failed:
                ours = job.fail(failed.problem, failed.retry_in)
            except Over:
                ours = job.fail({})  # changes nothing; if it was cancelled, ends the lease
            except AWAY:
                raise
            except Exception as error:  # the handler's, or its answer was refused
                log.exception("job %s, attempt %d failed", job.id, job.attempt)
                ours = job.fail({"title": type(error).__name__, "detail": str(error)[:4000]})
            if not ours:
                log.warning("job %s, attempt %d: nothing was changed, it is %s", job.id, job.attempt, job.why or "lost")
            self.publish(job.id)
        except Exception:  # the lease will run out
            log.exception("job %s, attempt %d could not be ended", job.id, job.attempt)
        finally:
            job.end("ended")
            del self._jobs[job.id]
            self._slots.release()

    def _keep_leases(self) -> None:
        while True:
            self._beat_now.wait(min([self.beat] + [job.lease / 3 for job in list(self._jobs.values())]))
            self._beat_now.clear()
            for job in list(self._jobs.values()):
                try:
                    if not job.over.is_set():
                        job.beat()
                except driver.Error as error:
                    log.error("job %s: no heartbeat: %s", job.id, str(error).strip())
