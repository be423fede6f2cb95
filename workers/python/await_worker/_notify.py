"""Without Redis: hears of work and of cancels by LISTEN, if the database has await.notify."""
from __future__ import annotations

import logging
import select
import threading
import time
from typing import Any, Callable, Sequence

log = logging.getLogger("await_worker")


class Notify:
    """Nothing depends on it, and a pooler may swallow it: then the next claim and the next heartbeat find the same."""

    connected = False  # nothing is published: PostgreSQL tells nginx

    def __init__(self, connect: Callable[[], Any], queues: Sequence[str],
                 work: threading.Event, cancel: threading.Event) -> None:
        self._connect, self._queues, self._work, self._cancel = connect, queues, work, cancel

    def listen(self) -> None:
        """Sets an event for each message, for ever. Connects again once a second."""
        said = ""
        while True:
            try:
                connection = self._connect()
                with connection.cursor() as cursor:
                    cursor.execute("LISTEN await_work")
                    cursor.execute("LISTEN await_cancel")
                said = ""
                self._work.set()
                for channel, payload in notifications(connection):
                    if channel == "await_cancel":
                        self._cancel.set()
                    elif payload in self._queues:
                        self._work.set()
            except Exception as error:  # of the driver
                if str(error) != said:
                    log.warning("LISTEN: %s", str(error).strip())
                said = str(error)
                time.sleep(1)

    def publish(self, channel: str, message: str) -> None:
        pass


def notifications(connection: Any) -> Any:
    if hasattr(connection, "notifies") and callable(connection.notifies):  # psycopg
        for found in connection.notifies():
            yield found.channel, found.payload
    while True:
        select.select([connection], [], [])
        connection.poll()
        while connection.notifies:
            found = connection.notifies.pop(0)
            yield found.channel, found.payload
