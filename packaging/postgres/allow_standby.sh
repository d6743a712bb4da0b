#!/bin/bash
# Run once, when the primary's folder is made: the standby may follow with the same password.
set -e
echo "host replication $POSTGRES_USER all scram-sha-256" >> "$PGDATA/pg_hba.conf"
