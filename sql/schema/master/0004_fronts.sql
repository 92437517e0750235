-- The host name of its own by which a sub-account's people were last seen at the front pages, as its node told (JSON): mails
-- to people who are only its own lead there, and bear its name. `seen_at` is in milliseconds.
create table subaccount_front (
  subaccount_id text    not null primary key references subaccount (id) on delete cascade,
  front         text    not null,
  seen_at       integer not null
);
