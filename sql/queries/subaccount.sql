-- name: insert
insert into subaccount (id, account_id, name, status, next_attempt_at, created_at, updated_at)
values (?1, ?2, ?3, 'requested', ?4, ?4, ?4);

-- name: get
select id, account_id, name, status, reason, base_url, created_at from subaccount where id = ?1 and account_id = ?2;

-- name: list
select id, account_id, name, status, reason, base_url, created_at from subaccount
where account_id = ?1 order by created_at desc, id desc limit 1000;

-- name: count
select count(*) from subaccount where account_id = ?1;

-- name: any-due
-- Most ticks find nothing, and learn it without the write lock.
select 1 from subaccount where status in ('requested', 'allocating') and next_attempt_at <= ?1 and lease_until <= ?1 limit 1;

-- name: claim-due
-- Leases the oldest requested sub-accounts, so that two ticks never work on the same one.
update subaccount set status = 'allocating', lease_token = ?1, lease_until = ?2, attempts = attempts + 1, updated_at = ?3
where id in (
  select id from subaccount
  where status in ('requested', 'allocating') and next_attempt_at <= ?3 and lease_until <= ?3
  order by next_attempt_at, id limit ?4
)
returning id, account_id, name, attempts;

-- name: activate
update subaccount set status = 'active', reason = null, base_url = ?3, lease_token = null, lease_until = 0, updated_at = ?4
where id = ?1 and lease_token = ?2;

-- name: postpone
-- It stays requested, says why, and is tried again by itself.
update subaccount set status = 'requested', reason = ?3, next_attempt_at = ?4, lease_token = null, lease_until = 0, updated_at = ?5
where id = ?1 and lease_token = ?2;
