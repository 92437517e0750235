-- A tenant that is being read from an archive, or arrives from another node, is there and serves nothing. SQLite cannot
-- change a check, so the table is made anew.

create table tenant_state_new (
  tenant_id  text    not null primary key,
  revision   integer not null,
  state      text    not null check (state in (
    'active', 'suspended', 'deleted', 'moving', 'frozen', 'gone', 'arriving', 'restoring')),
  account_id text,
  moved_to   text,
  changed_at integer not null
);

insert into tenant_state_new (tenant_id, revision, state, account_id, moved_to, changed_at)
select tenant_id, revision, state, account_id, moved_to, changed_at from tenant_state;

drop table tenant_state;

alter table tenant_state_new rename to tenant_state;

-- Links in mails that left another node must work at this one: what they were signed with, sealed.
create table link_key (
  tenant_id text not null references tenant (id) on delete cascade,
  sealed    text not null,
  primary key (tenant_id, sealed)
);
