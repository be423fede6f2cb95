#!/bin/bash
# A worker in shell: turns text to upper case. Debian: postgresql-client, redis-tools. docs/workers.md explains it.

# Yours. params.seconds stands for its time. It is ended when the job is cancelled or no longer ours.
work() { sleep "${seconds:-0}" && [ -s payload ] && tr a-z A-Z < payload > result; }

db() { psql -XAtq -F ' ' -v ON_ERROR_STOP=1 "$@"; }             # to PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD
redis() { timeout 1 redis-cli -u "$AWAIT_REDIS" "$@"; }
subscribe() { exec 3< <(exec redis-cli -u "$AWAIT_REDIS" SUBSCRIBE await:queue:shell); subscriber=$!; }
wait_for_work() {                                               # for a message on the queue's channel, or a second
    if [ -z "$AWAIT_REDIS" ]; then sleep 1; return; fi
    read -r -t 1 -u 3 || [ $? -gt 128 ] || { sleep 1; subscribe; }
}
keep_lease() {
    while sleep 1; do [ "$(db -c "SELECT await.heartbeat('$id', '$receipt')")" = ok ] || kill -- -"$1"; done
}
one_job() {
    db -c "SELECT id, receipt, substring(params->>'seconds' FROM '[0-9.]+'), E'\n' || encode(payload, 'base64')
           FROM await.claim(ARRAY['shell'], 'shell', 1, inline => 64 << 20)" > job || exit
    read -r id receipt seconds < job || return 1                # there is none
    tail -n +2 job | base64 -d > payload

    work & work=$!
    keep_lease $work & beats=$!
    while wait $work; status=$?; kill -0 $work; do :; done 2> /dev/null      # SIGTERM interrupts "wait", not the work
    { kill -KILL -- -$beats; wait $beats; } 2> /dev/null    # TERM would run the traps below in a subshell just begun

    {   if [ $status = 0 ]; then
            echo "SELECT await.complete('$id', '$receipt', decode('$(base64 -w 0 result)', 'base64'), 'text/plain');"
        else
            echo "SELECT await.fail('$id', '$receipt', '{\"title\": \"The work failed\", \"exit_status\": $status}');"
        fi
        [ -z "$AWAIT_REDIS" ] || echo "SELECT channel, message FROM await.hint('$id');"
    } | db > ended || exit
    {   read -r ours
        [ "$ours" = t ] || echo "$id: cancelled, or no longer ours" >&2      # nothing was changed
        while read -r channel message; do redis PUBLISH "$channel" "$message"; done > /dev/null
    } < ended
}

set -m                                                          # a job of the shell is a process group, killed whole
cd "$(mktemp -d)" || exit
exec 3< /dev/null                                               # until there is a subscriber
trap '[ -z "$subscriber" ] || kill "$subscriber"; rm -r "$PWD"' EXIT
trap 'stop=1; [ -z "$idle" ] || exit 0' TERM                    # finishes its job, then ends
while [ -z "$stop" ]; do
    one_job || { idle=1; wait_for_work; idle=; }
done
