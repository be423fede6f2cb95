#!/bin/sh
# Starts Redis with a user for each role, who may do no more than it needs (docs/operations.md#redis-users), and with nobody else.
# usage: redis.sh [ARGUMENTS OF redis-server]      (SECRETS: the directory of the passwords)
set -eu
secrets=${SECRETS:-/run/secrets}
umask 077
configuration=$(mktemp -d)/redis.conf
{
    echo 'save ""'
    echo 'appendonly no'
    echo 'user default off'
    while read -r role rights; do
        # a hash: the configuration has no passwords
        hash=$(head -n 1 "$secrets/redis_${role}_password" | tr -d '\n' | sha256sum | cut -d ' ' -f 1)
        echo "user await_$role on #$hash resetkeys resetchannels &await:* -@all $rights"
    done <<'ROLES'
edge +subscribe +unsubscribe +publish +ping
worker +subscribe +publish +ping
relay +publish +ping
ROLES
} > "$configuration"
exec redis-server "$configuration" "$@"
