-- People: roles, confirmation, second factors, invitations, scopes of keys, outbox, audit.

-- Whoever was there before roles came owns their account. `totp` is the sealed secret of the second factor in use,
-- `totp_pending` one that is being set up; `totp_step` is the last time step whose code was taken, so that none is twice.
alter table "user" add column role text not null default 'client' check (role in ('owner', 'admin', 'member', 'client'));
update "user" set role = 'owner';
alter table "user" add column confirmed_at integer;
alter table "user" add column last_seen_at integer;
alter table "user" add column totp text;
alter table "user" add column totp_pending text;
alter table "user" add column totp_step integer not null default 0;

-- What a member or client is in single sub-accounts.
create table user_grant (
  user_id       text    not null references "user" (id) on delete cascade,
  subaccount_id text    not null references subaccount (id) on delete cascade,
  role          text    not null check (role in ('member', 'client')),
  created_at    integer not null,
  primary key (user_id, subaccount_id)
);

create index user_grant_subaccount on user_grant (subaccount_id);

-- `id` is the session's name, which may be shown. One with a `bound_host` holds on that host alone.
alter table session add column id text;
update session set id = substr(token_hash, 1, 32);
alter table session add column user_agent text not null default '';
alter table session add column address text not null default '';
alter table session add column last_seen_at integer;
alter table session add column bound_host text;
create unique index session_id on session (id);
create index session_expiry on session (expires_at);

-- `scopes` and `subaccounts` are lists of words with a space between; no sub-account named is all of them. A sub-account
-- that is gone stays in the list, so that a key never gets wider.
alter table api_key add column scopes text not null default '';
update api_key set scopes = 'read reply write manage administer own';
alter table api_key add column subaccounts text not null default '';
alter table api_key add column expires_at integer;

-- An invitation ends with whoever sent it.
create table invite (
  id            text    not null primary key,
  account_id    text    not null references account (id),
  email         text    not null,
  role          text    not null check (role in ('owner', 'admin', 'member', 'client')),
  invited_by_id text    not null references "user" (id) on delete cascade,
  invited_by    text    not null,
  created_at    integer not null,
  expires_at    integer not null,
  accepted_at   integer,
  revoked_at    integer
);

create index invite_account on invite (account_id, created_at);
create index invite_sender on invite (invited_by_id);

create table invite_grant (
  invite_id     text not null references invite (id) on delete cascade,
  subaccount_id text not null references subaccount (id) on delete cascade,
  role          text not null check (role in ('member', 'client')),
  primary key (invite_id, subaccount_id)
);

create index invite_grant_subaccount on invite_grant (subaccount_id);

-- Links that work once. Only hashes are kept. A token without a person and an invite leads nowhere: it is written so that
-- asking for an unknown address costs the same.
create table token (
  token_hash text    not null primary key,
  purpose    text    not null check (purpose in ('confirm', 'reset', 'invite', 'change_email')),
  user_id    text    references "user" (id) on delete cascade,
  invite_id  text    references invite (id) on delete cascade,
  email      text    not null,
  created_at integer not null,
  expires_at integer not null
);

create index token_user on token (user_id);
create index token_invite on token (invite_id);
create index token_expiry on token (expires_at);

create table recovery_code (
  user_id   text not null references "user" (id) on delete cascade,
  code_hash text not null,
  used_at   integer,
  primary key (user_id, code_hash)
);

-- What is slowed down when there is too much of it: wrong passwords, wrong codes, mails that were asked for. `kind` says what
-- is counted and `name` for whom; the count begins anew some time after `first_at`.
drop table login_attempt;
create table attempt (
  kind          text    not null,
  name          text    not null,
  failures      integer not null,
  first_at      integer not null,
  blocked_until integer not null,
  primary key (kind, name)
);

create index attempt_first on attempt (first_at);

-- Mails to be sent. `body` is sealed, as it may hold a link that works, and erased when the mail has gone. A mail to nobody is
-- `void`: written as any other and never sent. `sender_name` is whose mail it is for somebody who knows another name than ours.
create table outbox (
  id              text    not null primary key,
  account_id      text,
  cause           text    not null,
  recipient       text    not null,
  sender_name     text,
  subject         text    not null,
  body            text    not null,
  status          text    not null check (status in ('waiting', 'sent', 'refused', 'void')),
  attempts        integer not null default 0,
  next_attempt_at integer not null,
  send_before     integer,
  lease_token     text,
  lease_until     integer not null default 0,
  error           text,
  created_at      integer not null,
  ended_at        integer
);

create index outbox_due on outbox (next_attempt_at) where status = 'waiting';
create index outbox_ended on outbox (ended_at);

-- Who changed what. Rows stand on their own: they stay when what they speak of is gone, for a year. `before` and `after` are JSON
-- without secrets.
create table audit_log (
  id           integer primary key autoincrement,
  account_id   text,
  at           integer not null,
  user_id      text,
  who          text    not null,
  via          text    not null,
  address      text    not null,
  action       text    not null,
  subject_id   text    not null,
  subject      text    not null,
  before_state text,
  after_state  text
);

create index audit_log_account on audit_log (account_id, id);
create index audit_log_at on audit_log (at);

-- Turns for hashing passwords: as many rows as turns there may be, each taken by at most one at a time.
create table password_work (
  turn        integer not null primary key,
  token       text    not null default '',
  taken_until integer not null default 0
);

insert into password_work (turn) values (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13), (14), (15), (16);
