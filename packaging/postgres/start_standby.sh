#!/bin/bash
# A copy of the primary the first time; afterwards it goes on where it was.
set -e
if [[ ! -s "$PGDATA/PG_VERSION" ]]; then
  PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
  export PGPASSWORD
  # Fast: the primary would take minutes over a checkpoint, with every commit waiting for the copy.
  pg_basebackup --checkpoint=fast --wal-method=stream --create-slot --slot=standby --write-recovery-conf \
    -D "$PGDATA" -d "host=primary user=$POSTGRES_USER application_name=standby"
  chmod 0700 "$PGDATA"
fi
exec postgres
