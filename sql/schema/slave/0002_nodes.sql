-- What the master said of a credential now holds all that is known of the caller, and until when it may be believed while
-- the master does not answer. Nothing is carried over: it is only remembered for a moment.
drop table credential;

-- `claims` is what the master signed. It is asked again when `checked_at` is older than two seconds.
create table credential (
  token_hash text    not null primary key,
  claims     text    not null,
  checked_at integer not null,
  ends_at    integer not null
);

create index credential_ends on credential (ends_at);

-- What the master wants of a tenant, and whether it is on its way out: no row is `active`, revision 0. The row outlives
-- the tenant: what was let go of at number 7 is not taken again by a call with number 6 that comes late. `moved_to` is where it went,
-- and `account_id` whose people are told so.
create table tenant_state (
  tenant_id  text    not null primary key,
  revision   integer not null,
  state      text    not null check (state in ('active', 'suspended', 'deleted', 'moving', 'frozen', 'gone')),
  account_id text,
  moved_to   text,
  changed_at integer not null
);
