-- Nodes: slaves and workers, where sub-accounts live, and what is still to be done about it.

-- A sub-account's wishes have a number that grows with each change: a node that has done number 7 knows nothing of 8.
alter table subaccount add column revision integer not null default 1;
alter table subaccount add column suspended_at integer;
-- Deleted, and can be brought back until `purge_at`.
alter table subaccount add column deleted_at integer;
alter table subaccount add column purge_at integer;

create index subaccount_purge on subaccount (purge_at) where deleted_at is not null;

-- Whose people see the nodes of the installation, beside those of its first account.
alter table account add column operator integer not null default 0;

-- `base_url` is where people reach a slave, `node_url` where the master does. Of tokens and credentials only hashes are
-- kept. `previous_hash` is the credential before the last rotation, good until `previous_until`.
create table node (
  id              text    not null primary key,
  kind            text    not null check (kind in ('slave', 'worker')),
  name            text    not null,
  slave_id        text    references node (id),
  unassigned      integer not null default 1,
  status          text    not null check (status in ('joining', 'active', 'draining', 'revoked')),
  join_hash       text    unique,
  join_until      integer not null default 0,
  credential_hash text    unique,
  previous_hash   text    unique,
  previous_until  integer not null default 0,
  base_url        text,
  node_url        text,
  version         text,
  slots           integer not null default 0,
  used            integer not null default 0,
  report          text    not null default '{}',
  seen_at         integer not null default 0,
  rest_until      integer not null default 0,
  created_at      integer not null
);

-- Where a sub-account is, was asked to be, or is leaving. Each row takes a slot of its node. `unsure` counts calls of
-- which nobody knows whether they arrived; a node is left only when there is none.
create table placement (
  subaccount_id text    not null references subaccount (id),
  node_id       text    not null references node (id),
  state         text    not null check (state in ('reserved', 'placed', 'releasing')),
  applied       integer not null default 0,
  attempts      integer not null default 0,
  unsure        integer not null default 0,
  next_at       integer,
  lease_token   text,
  lease_until   integer not null default 0,
  created_at    integer not null,
  primary key (subaccount_id, node_id)
);

-- Never at home in two places.
create unique index placement_home on placement (subaccount_id) where state = 'placed';
create index placement_node on placement (node_id);
create index placement_due on placement (next_at) where next_at is not null;

-- A sub-account on its way to another node.
create table relocation (
  id            text    not null primary key,
  subaccount_id text    not null references subaccount (id),
  source_id     text    not null references node (id),
  target_id     text    not null references node (id),
  state         text    not null check (state in ('reserving', 'freezing', 'copying', 'switching', 'cleaning', 'done', 'failed')),
  reason        text,
  digest        text,
  attempts      integer not null default 0,
  next_at       integer,
  lease_token   text,
  lease_until   integer not null default 0,
  created_at    integer not null,
  finished_at   integer
);

create unique index relocation_going on relocation (subaccount_id) where finished_at is null;
create index relocation_due on relocation (next_at) where next_at is not null;

-- The slave that runs in one application with the master. Until now it was the only one.
insert into node (id, kind, name, status, created_at) values ('local', 'slave', 'local', 'active', 0);

insert into placement (subaccount_id, node_id, state, applied, created_at)
select id, 'local', 'placed', 1, updated_at from subaccount where status = 'active';

-- Nobody knows whether the last call arrived.
insert into placement (subaccount_id, node_id, state, unsure, next_at, created_at)
select id, 'local', 'reserved', 1, 0, updated_at from subaccount where status = 'allocating';
