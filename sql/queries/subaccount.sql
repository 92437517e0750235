-- name: insert
insert into subaccount (id, account_id, name, status, next_attempt_at, created_at, updated_at)
values (?1, ?2, ?3, 'requested', ?4, ?4, ?4);

-- name: get
select id, account_id, name, status, reason, base_url, created_at, suspended_at, deleted_at, purge_at
from subaccount where id = ?1 and account_id = ?2;

-- name: any
-- The same for the operator, whose account it need not be of.
select id, account_id, name, status, reason, base_url, created_at, suspended_at, deleted_at, purge_at
from subaccount where id = ?1;

-- name: list
select id, account_id, name, status, reason, base_url, created_at, suspended_at, deleted_at, purge_at from subaccount
where account_id = ?1 order by created_at desc, id desc limit 1000;

-- name: count
select count(*) from subaccount where account_id = ?1;

-- name: allocating
-- It has a place in view.
update subaccount set status = 'allocating', reason = null, updated_at = ?2 where id = ?1 and status = 'requested';

-- name: activate
update subaccount set status = 'active', reason = null, base_url = ?2, updated_at = ?3
where id = ?1 and (status <> 'active' or reason is not null or base_url is null or base_url <> ?2);

-- name: explain
-- Why it is not there yet.
update subaccount set reason = ?2, updated_at = ?3 where id = ?1 and (reason is null or reason <> ?2);

-- name: wait-again
-- It has no place in view any more, and is tried again by itself. A new number: what the old place was told is void.
update subaccount set status = 'requested', reason = ?2, next_attempt_at = ?3, revision = revision + 1, updated_at = ?4
where id = ?1 and status in ('requested', 'allocating');

-- name: rename
update subaccount set name = ?3, revision = revision + 1, updated_at = ?4
where id = ?1 and account_id = ?2;

-- name: suspend
update subaccount set suspended_at = ?3, revision = revision + 1, updated_at = ?4
where id = ?1 and account_id = ?2 and deleted_at is null;

-- name: delete
update subaccount set deleted_at = ?3, purge_at = ?4, revision = revision + 1, updated_at = ?3
where id = ?1 and account_id = ?2 and deleted_at is null;

-- name: hasten
-- Deleted already; only the time to bring it back gets shorter.
update subaccount set purge_at = ?3 where id = ?1 and account_id = ?2 and deleted_at is not null and purge_at > ?3;

-- name: restore
-- Only while nobody has begun to take it away.
update subaccount set deleted_at = null, purge_at = null, revision = revision + 1, updated_at = ?3
where id = ?1 and account_id = ?2 and deleted_at is not null and purge_at > ?3
  and not exists (select 1 from placement p where p.subaccount_id = subaccount.id and p.state = 'releasing');

-- name: purged
-- It has no place any more, and its time to be brought back has passed.
select id, account_id from subaccount
where deleted_at is not null and purge_at <= ?1
  and not exists (select 1 from placement p where p.subaccount_id = subaccount.id) order by id limit 100;

-- name: delete-moves
delete from relocation where subaccount_id = ?1
  and exists (select 1 from subaccount s where s.id = ?1 and s.deleted_at is not null and s.purge_at <= ?2);

-- name: destroy
-- Unless it was brought back meanwhile.
delete from subaccount where id = ?1 and deleted_at is not null and purge_at <= ?2
  and not exists (select 1 from placement p where p.subaccount_id = subaccount.id);

-- name: any-purge
select 1 from subaccount where deleted_at is not null and purge_at <= ?1 limit 1;

-- name: front
select front, seen_at from subaccount_front where subaccount_id = ?1;

-- name: set-front
insert into subaccount_front (subaccount_id, front, seen_at) values (?1, ?2, ?3)
on conflict (subaccount_id) do update set front = excluded.front, seen_at = excluded.seen_at;
