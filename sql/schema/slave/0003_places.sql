-- A tenant lives in a slot or in a database of its own on the PostgreSQL server, never in both. SQLite cannot drop a
-- column's constraint, so the table is made anew, and with it `tenant_work`: dropping a table that is referenced would
-- delete the rows that reference it. What 0002 may have added to either table is to be carried over here.

create table tenant_new (
  id             text    not null primary key,
  account_id     text    not null,
  name           text    not null,
  slot           integer unique,
  database       text    unique,
  schema_version integer not null default 0,
  created_at     integer not null,
  check ((slot is null) <> (database is null))
);

insert into tenant_new (id, account_id, name, slot, schema_version, created_at)
select id, account_id, name, slot, schema_version, created_at from tenant;

create table tenant_work_new (
  tenant_id   text    not null references tenant_new (id) on delete cascade,
  stage       text    not null,
  due_at      integer not null,
  marked_at   integer not null,
  lease_token text,
  lease_until integer not null default 0,
  primary key (tenant_id, stage)
) without rowid;

insert into tenant_work_new (tenant_id, stage, due_at, marked_at, lease_token, lease_until)
select tenant_id, stage, due_at, marked_at, lease_token, lease_until from tenant_work;

drop table tenant_work;

drop table tenant;

-- References to a table follow when it is renamed.
alter table tenant_new rename to tenant;

alter table tenant_work_new rename to tenant_work;

create index tenant_work_due on tenant_work (stage, due_at);
