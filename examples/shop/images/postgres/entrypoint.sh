#!/bin/sh
# Makes the cluster on the first start, and on every start the databases that /run/secrets/databases names: one file per
# database, named after it and its owner, holding the owner's password. Then becomes the server.
set -eu

databases=/run/secrets/databases
log() { printf '%s\n' "entrypoint: $*" >&2; }

# One server at a time: after a crash of the node, an old one may still run while its successor starts on the same files.
# The server inherits the lock; it is let go when the last of its processes has ended.
exec 9>"$(dirname "$PGDATA")/lock"
flock --wait 60 9 || { log "another server has the files"; exit 1; }

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    log "initialising $PGDATA"
    # The superuser has no password: it is reached only from inside the container, as the user who runs the server. The
    # folder gets its name last, so that a start which was killed halfway begins again.
    rm -rf "$PGDATA.new" "$PGDATA"
    initdb --pgdata="$PGDATA.new" --username=app --auth-local=peer --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --data-checksums >/dev/null
    mv "$PGDATA.new" "$PGDATA"
fi
# Left by a server that was killed: we have the lock, and each pod counts its processes from 1.
rm -f "$PGDATA/postmaster.pid"

set -- -c config_file=/etc/postgresql/postgresql.conf "$@"

# Out of reach of the probes and of clients: a socket of its own, and no network.
log "provisioning"
pg_ctl start --silent --wait --options="$* -c listen_addresses='' -c unix_socket_directories=/tmp"
for file in "$databases"/*; do
    [ -f "$file" ] || continue
    DB_NAME=$(basename "$file") DB_PASSWORD=$(cat "$file") \
        psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --host=/tmp --dbname=postgres \
            --file=/usr/local/lib/postgres/provision.sql
    log "database $(basename "$file") is there"
done
pg_ctl stop --silent --wait --mode=fast

exec postgres "$@"
