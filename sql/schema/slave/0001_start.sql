-- A slave's control database: which tenants live here, and which of them have work due.

-- A slot is taken by at most one tenant; `slot` counts from 1.
create table tenant (
  id             text    not null primary key,
  account_id     text    not null,
  name           text    not null,
  slot           integer not null unique,
  schema_version integer not null default 0,
  created_at     integer not null
);

-- One row for each stage of a tenant that may have work. A stage leases the row while it works on it.
-- `marked_at` is the last time somebody promised work: a row is forgotten only when that is long past.
create table tenant_work (
  tenant_id   text    not null references tenant (id) on delete cascade,
  stage       text    not null,
  due_at      integer not null,
  marked_at   integer not null,
  lease_token text,
  lease_until integer not null default 0,
  primary key (tenant_id, stage)
) without rowid;

create index tenant_work_due on tenant_work (stage, due_at);

-- What the master said of a credential (RFC 7662), for a moment. Only hashes are kept.
create table credential (
  token_hash text    not null primary key,
  account_id text    not null,
  user_id    text    not null,
  email      text    not null,
  checked_at integer not null
);

create table worker (
  name       text    not null primary key,
  version    text    not null,
  seen_at    integer not null
);
