"""One connection to Redis that hears of work and of cancels, and publishes hints."""
from __future__ import annotations

import logging
import os
import socket
import threading
import time
import urllib.parse
from typing import Optional, Sequence

log = logging.getLogger("await_worker")


class Redis:
    """Nothing depends on it: without it work is found by the next claim, and a cancel by the next heartbeat."""

    def __init__(self, url: str, queues: Sequence[str], work: threading.Event, cancel: threading.Event) -> None:
        self._url, self._queues, self._work, self._cancel = url, queues, work, cancel
        self._socket: Optional[socket.socket] = None
        self._sending, self.tried = threading.Lock(), threading.Event()

    @property
    def connected(self) -> bool:
        return self._socket is not None

    def listen(self) -> None:
        """Sets an event for each message, for ever. Connects again once a second."""
        said = ""
        while True:
            try:
                with self._connect() as connection:
                    while True:
                        data = self._receive(connection)
                        if data[:1] in (b"", b"-"):
                            raise OSError(data.decode(errors="replace").split("\r\n")[0] or "the connection was closed")
                        self._socket, said = connection, ""
                        self.tried.set()
                        if b"await:" in data:  # not the answer to a PUBLISH
                            self._work.set()
                        if b"await:cancel" in data:
                            self._cancel.set()
            except (OSError, ValueError) as error:
                self._socket = None
                self.tried.set()
                if str(error) != said:
                    log.warning("Redis: %s", error)
                said = str(error)
                time.sleep(1)

    def publish(self, channel: str, message: str) -> None:
        with self._sending:
            try:
                if self._socket:
                    self._socket.sendall(command("PUBLISH", channel, message))
            except OSError:  # listen() says why
                self._socket = None

    def _connect(self) -> socket.socket:
        url = urllib.parse.urlsplit(self._url)
        password = urllib.parse.unquote(url.password or "") or os.environ.get("REDISCLI_AUTH", "")
        auth = ["AUTH", url.username or "default", password] if password else []
        connection = socket.create_connection((url.hostname or "127.0.0.1", url.port or 6379), timeout=5)
        connection.sendall(command("HELLO", "3", *auth))  # RESP3: a connection that subscribes may also PUBLISH
        connection.sendall(command("SUBSCRIBE", "await:cancel", *(f"await:queue:{queue}" for queue in self._queues)))
        return connection

    def _receive(self, connection: socket.socket) -> bytes:
        try:
            return connection.recv(65536)
        except socket.timeout:  # is it still there?
            with self._sending:
                connection.sendall(command("PING"))
            return connection.recv(65536)


def command(*words: str) -> bytes:
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
