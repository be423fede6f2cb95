#!/usr/bin/php
<?php
// A worker in PHP: turns text to upper case. Debian: php-cli, php-pgsql. docs/workers.md explains it.

// Yours. params.seconds stands for its time. $alive() every few seconds keeps the lease, and is false when to stop.
function work(string $text, int $seconds, callable $alive): string
{
    if ($text === '') throw new Exception('There is no text.');
    for ($i = 0; $i < $seconds && $alive(); $i++) sleep(1);
    return strtoupper($text);
}

function query(string $sql, ...$values): array
{
    global $db;
    $result = pg_query_params($db, $sql, $values) or exit(1);    // what is wrong has been printed
    return pg_fetch_all($result);
}

function connect_redis()
{
    $url = parse_url(getenv('AWAIT_REDIS'));
    $redis = @stream_socket_client("tcp://$url[host]:$url[port]", $code, $why, 1) ?: null;
    $auth = getenv('REDISCLI_AUTH') ? 'AUTH default ' . getenv('REDISCLI_AUTH') : '';
    // after HELLO 3 it may PUBLISH as well
    if ($redis) fwrite($redis, "HELLO 3 $auth\r\nSUBSCRIBE await:queue:php\r\n");
    return $redis;
}

function wait_for_work($redis)                       // for a message that there is work, or a second
{
    global $db;
    $none = null;
    if (!getenv('AWAIT_REDIS')) {
        $read = [pg_socket($db)];
        if (!pg_get_notify($db)) @stream_select($read, $none, $none, 1);
        return null;
    }
    if (!$redis) return connect_redis() ?: sleep(1) ?: null;     // a job may have come before: claims again
    $read = [$redis];
    if (@stream_select($read, $none, $none, 1)) fread($redis, 65536);
    return feof($redis) ? null : $redis;
}

function publish($redis, string $channel, string $message): void
{
    $words = array_map(fn ($word) => '$' . strlen($word) . "\r\n$word\r\n", ['PUBLISH', $channel, $message]);
    @fwrite($redis, "*3\r\n" . implode($words));
}

$stop = false;
pcntl_async_signals(true);
pcntl_signal(SIGTERM, function () use (&$stop) { $stop = true; });   // finishes its job, then ends
$db = pg_connect('') or exit(1);                     // to PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD
pg_query($db, 'LISTEN await_work');                  // without Redis: heard if the database has await.notify
$redis = getenv('AWAIT_REDIS') ? connect_redis() : null;             // before the first job, whose end is to be told
while (!$stop) {
    $jobs = query("SELECT * FROM await.claim(ARRAY['php'], 'php', 1, inline => 64 << 20)");
    if (!$jobs) $redis = wait_for_work($redis);
    foreach ($jobs as ['id' => $id, 'receipt' => $receipt, 'payload' => $payload, 'params' => $params]) {
        $alive = fn () => query('SELECT await.heartbeat($1, $2) AS answer', $id, $receipt)[0]['answer'] === 'ok';
        try {
            $result = work(pg_unescape_bytea($payload), json_decode($params ?? '{}')->seconds ?? 0, $alive);
            $end = "SELECT await.complete(\$1, \$2, \$3, 'text/plain') AS ours";
            $value = '\x' . bin2hex($result);
        } catch (Throwable $error) {
            $end = 'SELECT await.fail($1, $2, $3) AS ours';
            $problem = ['title' => 'The work failed', 'detail' => $error->getMessage()];
            $value = json_encode($problem, JSON_INVALID_UTF8_SUBSTITUTE);
        }
        if (query($end, $id, $receipt, $value)[0]['ours'] !== 't') {
            fwrite(STDERR, "$id: cancelled, or no longer ours\n");   // nothing was changed
        }
        if (!$redis) continue;
        $hints = query('SELECT channel, message FROM await.hint($1)', $id);
        foreach ($hints as $hint) publish($redis, $hint['channel'], $hint['message']);
    }
}
