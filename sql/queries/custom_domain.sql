-- name: insert
insert into custom_domain (name, tenant_id, token, created_at) values (?1, ?2, ?3, ?4) on conflict (name, tenant_id) do nothing;

-- name: count
select count(*) from custom_domain where tenant_id = ?1;

-- name: of-tenant
select name, token, verified_at, checked_at, reason, created_at from custom_domain where tenant_id = ?1 order by created_at, name;

-- name: get
select name, token, verified_at, checked_at, reason, created_at from custom_domain where tenant_id = ?1 and name = ?2;

-- name: target
-- Where a name leads, and whether anybody has come by it.
select tenant_id, reached_at from custom_domain where name = ?1 and verified_at is not null;

-- name: reached
update custom_domain set reached_at = ?2 where name = ?1 and verified_at is not null and reached_at is null;

-- name: primary
-- The name that a tenant's links are made with: the oldest that is verified and that somebody came by. Its proof alone
-- does not say that it leads here.
select name from custom_domain where tenant_id = ?1 and verified_at is not null and reached_at is not null
order by verified_at, name limit 1;

-- name: verified
-- All names that lead somewhere, in pages: certificates are made for them.
select name from custom_domain where verified_at is not null and name > ?1 order by name limit ?2;

-- name: release
-- Who proves a name has it alone. The others' tokens go with their rows: one that is still in the zone proves nothing.
delete from custom_domain where name = ?1 and tenant_id <> ?2;

-- name: verify
update custom_domain set verified_at = coalesce(verified_at, ?3), checked_at = ?3, missing_since = null, reason = null
where tenant_id = ?1 and name = ?2;

-- name: refuse
-- A look into the DNS that found no proof. What was verified stays so for a week (604,800 s) in which every sure look
-- found none: zones are mended.
update custom_domain set
  checked_at = ?3,
  reason = ?4,
  missing_since = case when ?5 = 1 then coalesce(missing_since, ?3) else missing_since end,
  verified_at = case when ?5 = 1 and missing_since < ?3 - 604800000 then null else verified_at end
where tenant_id = ?1 and name = ?2;

-- name: due
-- Verified names a day after the last look, names that were asked for ten minutes after it, in their first three days.
select name, token, verified_at, checked_at, reason, created_at, tenant_id from custom_domain
where (verified_at is not null and checked_at <= ?1 - 86400000)
   or (verified_at is null and created_at > ?1 - 259200000 and coalesce(checked_at, created_at) <= ?1 - 600000)
order by coalesce(checked_at, created_at), name, tenant_id limit ?2;

-- name: delete
delete from custom_domain where tenant_id = ?1 and name = ?2;
