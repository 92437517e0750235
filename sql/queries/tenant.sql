-- name: insert-slot
-- Takes the lowest free slot, but none that was set aside; does nothing when the tenant is here already or no slot is free.
insert into tenant (id, account_id, name, slot, created_at)
select ?1, ?2, ?3, free.n, ?5
from (
  with recursive slots (n) as (select cast(1 as bigint) union all select n + 1 from slots where n < ?4)
  select min(n) as n from slots
  where n not in (select slot from tenant where slot is not null union all select slot from slot_aside)
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
-- Slots and databases that nobody else may have.
select (select count(*) from tenant) + (select count(*) from slot_aside);

-- name: set-schema-version
update tenant set schema_version = ?2 where id = ?1;

-- name: page
-- Tenants after an id, in order.
select id, account_id, name, slot, database, schema_version from tenant where id > ?1 order by id limit ?2;

-- name: delete
delete from tenant where id = ?1;

-- name: set-aside
-- The slot holds what is not this tenant's.
insert into slot_aside (slot, looked_at) select slot, ?2 from tenant where id = ?1 and slot is not null
on conflict (slot) do nothing;

-- name: aside
-- Slots that nobody has looked at for the longest.
select slot from slot_aside where looked_at <= ?1 order by looked_at, slot limit ?2;

-- name: looked-at
update slot_aside set looked_at = ?2 where slot = ?1;

-- name: give-back
delete from slot_aside where slot = ?1;
