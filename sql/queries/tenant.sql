-- name: insert-slot
-- Takes the lowest free slot; does nothing when the tenant is here already or no slot is free.
insert into tenant (id, account_id, name, slot, created_at)
select ?1, ?2, ?3, free.n, ?5
from (
  with recursive slots (n) as (select cast(1 as bigint) union all select n + 1 from slots where n < ?4)
  select min(n) as n from slots where n not in (select slot from tenant where slot is not null)
) free
where free.n is not null
on conflict (id) do nothing;

-- name: insert-database
-- Takes a database of its own; does nothing when the tenant is here already or as many as may live here.
insert into tenant (id, account_id, name, database, created_at)
select ?1, ?2, ?3, ?4, ?6 where (select count(*) from tenant) < ?5
on conflict (id) do nothing;

-- name: get
select id, account_id, name, slot, database, schema_version from tenant where id = ?1;

-- name: count
select count(*) from tenant;

-- name: set-schema-version
update tenant set schema_version = ?2 where id = ?1;

-- name: page
-- Tenants after an id, in order.
select id, account_id, name, slot, database, schema_version from tenant where id > ?1 order by id limit ?2;

-- name: delete
delete from tenant where id = ?1;
