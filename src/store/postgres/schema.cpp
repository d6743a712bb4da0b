// The tables of a Postern store on PostgreSQL: those of the embedded store (store/sqlite/schema.cpp
// says what holds of both), but for two things.
//
// What was received stands aside, in `evidence`, which is partitioned by month: retention drops a
// whole partition, and what guards against doubles (orders, attempts, facts, message keys) stays
// small and stays for ever.
//
// Row ids come from one sequence, in blocks of 64 that end with the number drawn. A transaction
// draws them after it has taken its locks, so that of one order they grow in the order of commits.
#include "store/postgres/schema.h"

namespace postern::store::postgres {

const char* const kSchema1 = R"sql(
CREATE TABLE meta (
  name text PRIMARY KEY,
  value text NOT NULL
);

CREATE SEQUENCE row_ids INCREMENT BY 64 START WITH 64 MINVALUE 64;
-- The first block that is drawn is the second: ids are above what a writer saw before it drew any.
SELECT setval('row_ids', 64, true);

CREATE TABLE orders (
  id bigint PRIMARY KEY,
  merchant text NOT NULL,
  merchant_order_id text NOT NULL,
  sequence bigint NOT NULL CHECK (sequence >= 0),
  state smallint NOT NULL,
  dispute smallint NOT NULL,
  expected_minor bigint CHECK (expected_minor >= 0),
  expected_currency text,
  paid_minor bigint CHECK (paid_minor >= 0),
  paid_currency text,
  refunded_minor bigint,
  created_at_ms bigint NOT NULL,
  updated_at_ms bigint NOT NULL,
  CHECK ((expected_minor IS NULL) = (expected_currency IS NULL)),
  CHECK ((paid_minor IS NULL) = (paid_currency IS NULL)),
  CHECK (refunded_minor IS NULL
         OR (paid_minor IS NOT NULL AND refunded_minor BETWEEN 0 AND paid_minor))
);
CREATE UNIQUE INDEX orders_by_key ON orders (merchant_order_id, merchant);
CREATE INDEX orders_by_state ON orders (state, id) WHERE state >= 2;

CREATE TABLE attempts (
  id bigint PRIMARY KEY,
  account text NOT NULL,
  sub_merchant text NOT NULL,
  number text NOT NULL,
  order_id bigint
);
CREATE UNIQUE INDEX attempts_by_key ON attempts (number, account, sub_merchant);
CREATE INDEX attempts_by_order ON attempts (order_id) WHERE order_id IS NOT NULL;

CREATE TABLE callbacks (
  id bigint PRIMARY KEY,
  account text NOT NULL,
  received_at_ms bigint NOT NULL,
  outcome smallint NOT NULL,
  copy_of bigint,
  message_key text,
  key_id text NOT NULL,
  scheme text NOT NULL,
  event_type text NOT NULL,
  peer text NOT NULL,
  digest bytea NOT NULL
);
CREATE UNIQUE INDEX callbacks_by_message ON callbacks (message_key, account)
  WHERE message_key IS NOT NULL;
CREATE INDEX callbacks_by_first ON callbacks (copy_of) WHERE copy_of IS NOT NULL;
CREATE INDEX callbacks_by_outcome ON callbacks (outcome, id) WHERE outcome >= 2;

CREATE TABLE evidence (
  callback_id bigint NOT NULL,
  received_at_ms bigint NOT NULL,
  target bytea NOT NULL,
  headers bytea NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (callback_id, received_at_ms)
) PARTITION BY RANGE (received_at_ms);
-- For times that nobody has made a partition for: a clock that is off refuses no callback.
CREATE TABLE evidence_rest PARTITION OF evidence DEFAULT;

CREATE TABLE copies (
  callback_id bigint PRIMARY KEY,
  count bigint NOT NULL
);

CREATE TABLE facts (
  id bigint PRIMARY KEY,
  attempt_id bigint NOT NULL,
  callback_id bigint,
  fact_key text NOT NULL,
  kind smallint NOT NULL,
  source smallint NOT NULL,
  payment_id text NOT NULL,
  refund_id text NOT NULL,
  dispute_id text NOT NULL,
  minor bigint,
  currency text,
  dispute smallint NOT NULL,
  occurred_at_ms bigint NOT NULL,
  recorded_at_ms bigint NOT NULL,
  CHECK ((minor IS NULL) = (currency IS NULL))
);
CREATE INDEX facts_by_attempt ON facts (attempt_id);
-- Shared by all nodes, so it cannot lag behind as the embedded store's does.
CREATE UNIQUE INDEX facts_by_key ON facts (fact_key);

CREATE TABLE events (
  id bigint PRIMARY KEY,
  order_id bigint NOT NULL,
  sequence bigint NOT NULL CHECK (sequence > 0),
  type smallint NOT NULL,
  created_at_ms bigint NOT NULL,
  body text NOT NULL
);
CREATE UNIQUE INDEX events_by_order ON events (order_id, sequence);

CREATE TABLE deliveries (
  id bigint PRIMARY KEY,
  event_id bigint NOT NULL,
  order_id bigint NOT NULL,
  sequence bigint NOT NULL,
  endpoint text NOT NULL,
  state smallint NOT NULL,
  due_at_ms bigint NOT NULL,
  tries bigint NOT NULL DEFAULT 0,
  lease bigint NOT NULL DEFAULT 0,
  reason text
);
CREATE INDEX deliveries_by_order ON deliveries (order_id);
CREATE INDEX deliveries_ready ON deliveries (endpoint, due_at_ms) WHERE state = 0;
CREATE INDEX deliveries_waiting ON deliveries (endpoint) WHERE state = 1;
CREATE INDEX deliveries_given_up ON deliveries (endpoint, state) WHERE state >= 3;

CREATE TABLE tries (
  id bigint PRIMARY KEY,
  delivery_id bigint NOT NULL,
  began_at_ms bigint NOT NULL,
  took_ms bigint NOT NULL,
  outcome smallint NOT NULL,
  code text NOT NULL,
  excerpt text NOT NULL
);
CREATE INDEX tries_by_delivery ON tries (delivery_id);

CREATE TABLE applied (
  event_id bigint NOT NULL,
  consumer text NOT NULL,
  at_ms bigint NOT NULL,
  PRIMARY KEY (event_id, consumer)
);

CREATE TABLE audit (
  id bigint PRIMARY KEY,
  at_ms bigint NOT NULL,
  actor text NOT NULL,
  peer text NOT NULL,
  act smallint NOT NULL,
  outcome smallint NOT NULL,
  deliveries text NOT NULL,
  detail text NOT NULL
);
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION audit_stays();

CREATE TABLE incidents (
  id bigint PRIMARY KEY,
  kind smallint NOT NULL,
  subject text NOT NULL,
  order_id bigint,
  callback_id bigint,
  detail text NOT NULL,
  state smallint NOT NULL,
  count bigint NOT NULL CHECK (count > 0),
  first_at_ms bigint NOT NULL,
  last_at_ms bigint NOT NULL
);
CREATE UNIQUE INDEX incidents_by_subject ON incidents (subject, kind);
CREATE INDEX incidents_by_order ON incidents (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX incidents_unresolved ON incidents (state) WHERE state < 2;
)sql";

}  // namespace postern::store::postgres
