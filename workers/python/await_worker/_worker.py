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
from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Union

from ._job import Answer, Failed, Job
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
        self._jobs: Set[Job] = set()  # not by id: one that was lost can be claimed again while its handler still runs
        self._stopping, self._woken, self._beat_now = False, threading.Event(), threading.Event()
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
        if isinstance(self._bus, Redis):
            self._bus.tried.wait(5)  # the end of a job that is done before it is connected could not be published
        try:
            while not self._stopping:
                self._woken.clear()
                if len(self._jobs) >= self.concurrency or not self._claim():
                    self._woken.wait(1)
        finally:
            self._drain()

    def stop(self) -> None:
        self._stopping = True  # sets no event: a signal may have interrupted the thread that holds its lock

    def _drain(self) -> None:
        until = time.monotonic() + self.grace
        while self._jobs and time.monotonic() < until:
            time.sleep(0.02)
        for job in list(self._jobs):
            job.end("stopped")
            try:
                job.release()
            except driver.Error as error:  # its lease will run out
                log.error("job %s could not be given back: %s", job.id, str(error).strip())
        log.info("stopped")

    def sql(self, statement: str, *values: Any, patience: float = 60) -> List[Dict[str, Any]]:
        """Runs a statement in a transaction of its own; again, for `patience` seconds, while PostgreSQL is away."""
        until, pause = time.monotonic() + patience, 0.1
        while True:
            connection = None
            try:
                connection = self._take() or self._connect()
                with connection.cursor() as cursor:
                    cursor.execute(statement, values)
                    names = [column[0] for column in cursor.description]
                    rows = [dict(zip(names, row)) for row in cursor.fetchall()]
                self._idle.append(connection)
                return rows
            except driver.Error as error:
                if connection:
                    connection.close()
                if not isinstance(error, AWAY) or time.monotonic() > until:
                    raise
                log.warning("PostgreSQL: %s", str(error).strip())
                time.sleep(pause * random.uniform(0.5, 1))
                pause = min(2 * pause, 5)

    def publish(self, id: str) -> None:
        """Tells clients of the newest event at once. Without it they hear of it at the next await_reread."""
        if self._bus.connected:
            for hint in self.sql("SELECT channel, message FROM await.hint(%s)", id):
                self._bus.publish(hint["channel"], hint["message"])

    def _take(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:  # all are in use
            return None

    def _connect(self) -> Any:
        patience = dict(connect_timeout=10, keepalives_idle=10, keepalives_interval=5, keepalives_count=3)
        if driver.__name__ == "psycopg":
            # no prepared statements, because of poolers
            return driver.connect(self._conninfo, autocommit=True, prepare_threshold=None, **patience)
        connection = driver.connect(self._conninfo, **patience)
        connection.autocommit = True
        return connection

    def _claim(self) -> bool:
        try:
            rows = self.sql("SELECT * FROM await.claim(%s, %s, 1, pieces => true)", self.queues, self.name, patience=0)
        except AWAY as error:
            log.error("PostgreSQL: %s", str(error).strip())
            return False
        for job in [Job(row, self.sql, self.publish) for row in rows]:
            self._jobs.add(job)
            threading.Thread(target=self._work, args=(job,), daemon=True).start()
            if job.lease / 3 < self.beat:
                self._beat_now.set()
        return bool(rows)

    def _work(self, job: Job) -> None:
        try:
            try:
                ours = job.complete(self.handler(job))
            except BaseException as error:  # the handler's, or its answer was refused
                ours = self._fail(job, error)
            if not ours:
                log.warning("job %s, attempt %d: nothing was changed, it is %s", job.id, job.attempt, job.why or "lost")
            self.publish(job.id)
        except Exception:  # the lease will run out
            log.exception("job %s, attempt %d could not be ended", job.id, job.attempt)
        finally:
            job.end("ended")
            self._jobs.discard(job)
            self._woken.set()

    def _fail(self, job: Job, error: BaseException) -> bool:
        if not job.over.is_set() and not isinstance(error, Failed):
            log.exception("job %s, attempt %d failed", job.id, job.attempt)
        try:
            return job.fail(error)
        except (TypeError, ValueError, driver.DataError) as refused:  # a problem that is no JSON
            return job.fail(refused)

    def _keep_leases(self) -> None:
        while True:
            self._beat_now.wait(min([self.beat] + [job.lease / 3 for job in list(self._jobs)]))
            self._beat_now.clear()
            for job in list(self._jobs):
                try:
                    if not job.over.is_set():
                        job.beat()
                except Exception as error:  # whatever it is, the other jobs need theirs
                    log.error("job %s: no heartbeat: %s", job.id, str(error).strip())
