// The tables of a Postern store.
//
// Every row has an integer id that grows with time, so that inserts go to the right edge of each
// tree and cost the same at ten million rows as at ten thousand. Times are UTC milliseconds. Money
// is whole minor units with an ISO 4217 currency. States and kinds are small numbers, listed in
// store/sql/codes.cpp; those that a partial index names are repeated beside it. Bytes that were
// received are blobs, and a row of `callbacks` is never updated once written: its copies are
// counted aside.
//
// An index is paid for with every callback, so there is none that no question needs. Partial
// indexes keep rows out that are the ordinary case.
#include "store/sqlite/schema.h"

namespace postern::store::sqlite {

const char* const kSchema1 = R"sql(
PRAGMA application_id = 0x506f7374;

CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  merchant TEXT NOT NULL,
  merchant_order_id TEXT NOT NULL,
  sequence INTEGER NOT NULL CHECK (sequence >= 0),
  state INTEGER NOT NULL,
  dispute INTEGER NOT NULL,
  expected_minor INTEGER CHECK (expected_minor >= 0),
  expected_currency TEXT,
  paid_minor INTEGER CHECK (paid_minor >= 0),
  paid_currency TEXT,
  refunded_minor INTEGER,
  created_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  CHECK ((expected_minor IS NULL) = (expected_currency IS NULL)),
  CHECK ((paid_minor IS NULL) = (paid_currency IS NULL)),
  CHECK (refunded_minor IS NULL
         OR (paid_minor IS NOT NULL AND refunded_minor BETWEEN 0 AND paid_minor))
) STRICT;
-- The order's number comes first, so that a search that names no merchant can use it too.
CREATE UNIQUE INDEX orders_by_key ON orders (merchant_order_id, merchant);
-- Not 0 (awaiting) and 1 (paid): those are the many, and a payment would have to move its order.
CREATE INDEX orders_by_state ON orders (state) WHERE state >= 2;

CREATE TABLE attempts (
  id INTEGER PRIMARY KEY,
  account TEXT NOT NULL,
  sub_merchant TEXT NOT NULL,
  number TEXT NOT NULL,
  order_id INTEGER  -- NULL: nobody has registered it yet
) STRICT;
CREATE UNIQUE INDEX attempts_by_key ON attempts (number, account, sub_merchant);
CREATE INDEX attempts_by_order ON attempts (order_id) WHERE order_id IS NOT NULL;

CREATE TABLE callbacks (
  id INTEGER PRIMARY KEY,
  account TEXT NOT NULL,
  received_at_ms INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  copy_of INTEGER,    -- the first callback of the same facts
  message_key TEXT,   -- only where there is no fact
  key_id TEXT NOT NULL,
  scheme TEXT NOT NULL,
  event_type TEXT NOT NULL,
  peer TEXT NOT NULL,
  digest BLOB NOT NULL,
  target BLOB NOT NULL,
  headers BLOB NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX callbacks_by_message ON callbacks (message_key, account)
  WHERE message_key IS NOT NULL;
CREATE INDEX callbacks_by_first ON callbacks (copy_of) WHERE copy_of IS NOT NULL;
-- Not 0 (applied) and 1 (duplicate): those are the many.
CREATE INDEX callbacks_by_outcome ON callbacks (outcome) WHERE outcome >= 2;

-- Genuine copies that changed nothing: counted here, so that evidence is never rewritten.
CREATE TABLE copies (
  callback_id INTEGER PRIMARY KEY,
  count INTEGER NOT NULL
) STRICT;

CREATE TABLE facts (
  id INTEGER PRIMARY KEY,
  attempt_id INTEGER NOT NULL,
  callback_id INTEGER,  -- NULL: not from a callback
  fact_key TEXT NOT NULL,
  kind INTEGER NOT NULL,
  source INTEGER NOT NULL,
  payment_id TEXT NOT NULL,
  refund_id TEXT NOT NULL,
  dispute_id TEXT NOT NULL,
  minor INTEGER,
  currency TEXT,
  dispute INTEGER NOT NULL,
  occurred_at_ms INTEGER NOT NULL,
  recorded_at_ms INTEGER NOT NULL,
  CHECK ((minor IS NULL) = (currency IS NULL))
) STRICT;
CREATE INDEX facts_by_attempt ON facts (attempt_id);

-- The unique index of facts.fact_key, kept by FactKeys: it lags behind, since platforms number at
-- random, and an index of random keys costs a page for each callback.
CREATE TABLE fact_keys (
  hash INTEGER NOT NULL,
  fact_id INTEGER NOT NULL,
  PRIMARY KEY (hash, fact_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL,
  sequence INTEGER NOT NULL CHECK (sequence > 0),
  type INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_by_order ON events (order_id, sequence);

CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY,
  event_id INTEGER NOT NULL,
  order_id INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  endpoint TEXT NOT NULL,
  state INTEGER NOT NULL,
  due_at_ms INTEGER NOT NULL,  -- while it is tried: when the lease ends
  tries INTEGER NOT NULL DEFAULT 0,
  lease INTEGER NOT NULL DEFAULT 0,  -- how often it was claimed
  reason TEXT
) STRICT;
CREATE INDEX deliveries_by_order ON deliveries (order_id);
-- 0: ready. The state stands in the index too, a byte, so that counting needs no row.
CREATE INDEX deliveries_ready ON deliveries (endpoint, due_at_ms, state) WHERE state = 0;
CREATE INDEX deliveries_waiting ON deliveries (endpoint, state) WHERE state = 1;  -- 1: waiting
-- 3 and 4: dead and cancelled, to be looked at and retried many at once.
CREATE INDEX deliveries_given_up ON deliveries (endpoint, state) WHERE state >= 3;

CREATE TABLE tries (
  id INTEGER PRIMARY KEY,
  delivery_id INTEGER NOT NULL,
  began_at_ms INTEGER NOT NULL,
  took_ms INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  code TEXT NOT NULL,
  excerpt TEXT NOT NULL
) STRICT;
CREATE INDEX tries_by_delivery ON tries (delivery_id);

-- What consumers have said of events.
CREATE TABLE applied (
  event_id INTEGER NOT NULL,
  consumer TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (event_id, consumer)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  actor TEXT NOT NULL,
  peer TEXT NOT NULL,
  act INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  deliveries TEXT NOT NULL,  -- their ids: "3 5 9"
  detail TEXT NOT NULL
) STRICT;
-- What somebody did stays as it was written.
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'audit'); END;
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'audit'); END;

CREATE TABLE incidents (
  id INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL,
  subject TEXT NOT NULL,
  order_id INTEGER,
  callback_id INTEGER,
  detail TEXT NOT NULL,
  state INTEGER NOT NULL,
  count INTEGER NOT NULL CHECK (count > 0),
  first_at_ms INTEGER NOT NULL,
  last_at_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX incidents_by_subject ON incidents (subject, kind);
CREATE INDEX incidents_by_order ON incidents (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX incidents_unresolved ON incidents (state) WHERE state < 2;  -- 2: resolved
)sql";

}  // namespace postern::store::sqlite
