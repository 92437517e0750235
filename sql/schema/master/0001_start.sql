-- The master: who people are, and which sub-accounts they asked for.

create table account (
  id         text    not null primary key,
  name       text    not null,
  created_at integer not null
);

-- `email` is normalised, so that one mailbox is one person.
create table user (
  id            text    not null primary key,
  account_id    text    not null references account (id),
  email         text    not null unique,
  password_hash text    not null,
  created_at    integer not null
);

create index user_account on user (account_id);

-- Only the hash of a session's token is kept: who reads this table cannot log in with it.
create table session (
  token_hash text    not null primary key,
  user_id    text    not null references user (id) on delete cascade,
  created_at integer not null,
  expires_at integer not null
);

create index session_user on session (user_id);

create table api_key (
  id           text    not null primary key,
  account_id   text    not null references account (id),
  user_id      text    not null references user (id) on delete cascade,
  name         text    not null,
  prefix       text    not null,
  key_hash     text    not null unique,
  created_at   integer not null,
  last_used_at integer,
  revoked_at   integer
);

create index api_key_account on api_key (account_id, created_at);

-- Failed log-ins for an address, so that guessing gets slower and slower.
create table login_attempt (
  email         text    not null primary key,
  failures      integer not null,
  blocked_until integer not null
);

create table subaccount (
  id              text    not null primary key,
  account_id      text    not null references account (id),
  name            text    not null,
  status          text    not null check (status in ('requested', 'allocating', 'active', 'failed')),
  reason          text,
  base_url        text,
  attempts        integer not null default 0,
  next_attempt_at integer not null,
  lease_token     text,
  lease_until     integer not null default 0,
  created_at      integer not null,
  updated_at      integer not null
);

create index subaccount_account on subaccount (account_id, created_at);
create index subaccount_due on subaccount (next_attempt_at) where status in ('requested', 'allocating');
