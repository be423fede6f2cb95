#!/usr/bin/python3
"""A worker in Python: turns text to upper case. Debian: python3-psycopg2. docs/workers.md explains it."""
import json, os, select, signal, socket, sys, threading, time, urllib.parse
import psycopg2


def work(text, seconds, over):
    """Yours. params.seconds stands for its time. `over` is set when the job is cancelled or no longer ours."""
    if not text:
        raise ValueError("There is no text.")
    over.wait(seconds)
    return text.upper()


def query(sql, *values):
    with db.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def keep_lease(id, receipt, over):
    while not over.wait(1):
        if query("SELECT await.heartbeat(%s, %s)", id, receipt)[0][0] != "ok":
            over.set()


def connect_redis():
    url = urllib.parse.urlsplit(os.environ["AWAIT_REDIS"])
    connection = socket.create_connection((url.hostname, url.port), timeout=1)
    auth = "AUTH default " + os.environ["REDISCLI_AUTH"] if "REDISCLI_AUTH" in os.environ else ""
    connection.sendall(f"HELLO 3 {auth}\r\nSUBSCRIBE await:queue:python\r\n".encode())
    return connection  # after HELLO 3 it may PUBLISH as well


def wait_for_work(redis):
    """For a message that there is work, or a second. Returns the connection to Redis, if there is one."""
    if not os.environ.get("AWAIT_REDIS"):
        if not db.notifies:
            select.select([db], [], [], 1)
        db.poll()
        return db.notifies.clear()
    try:
        if not redis:
            return connect_redis()  # a job may have come before: the caller claims again
        if select.select([redis], [], [], 1)[0] and not redis.recv(65536):
            return None
        return redis
    except OSError:
        time.sleep(1)


def publish(redis, *hint):
    words = [word.encode() for word in ("PUBLISH", *hint)]
    try:
        redis.sendall(b"*3\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))
    except OSError:
        pass  # the next wait connects again


stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())  # finishes its job, then ends
db = psycopg2.connect("")  # to PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD
db.autocommit = True
db.cursor().execute("LISTEN await_work")  # without Redis: heard if the database has await.notify
redis = wait_for_work(None) if os.environ.get("AWAIT_REDIS") else None  # connects before the first job
while not stop.is_set():
    jobs = query("""SELECT id, receipt, payload, params
                    FROM await.claim(ARRAY['python'], 'python', 1, inline => 64 << 20)""")
    if not jobs:
        redis = wait_for_work(redis)
    for id, receipt, payload, params in jobs:
        over = threading.Event()
        threading.Thread(target=keep_lease, args=(id, receipt, over)).start()
        try:
            result = work(bytes(payload), float((params or {}).get("seconds", 0)), over)
            end = "SELECT await.complete(%s, %s, %s, 'text/plain')"
        except Exception as error:
            result = json.dumps({"title": "The work failed", "detail": str(error)})
            end = "SELECT await.fail(%s, %s, %s)"
        over.set()
        if not query(end, id, receipt, result)[0][0]:
            print(id, "cancelled, or no longer ours", file=sys.stderr)  # nothing was changed
        for hint in query("SELECT channel, message FROM await.hint(%s)", id) if redis else []:
            publish(redis, *hint)
