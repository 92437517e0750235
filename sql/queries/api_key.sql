-- name: insert
insert into api_key (id, account_id, user_id, name, prefix, key_hash, created_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: find
-- Who a live key belongs to.
select u.account_id, u.id, u.email
from api_key k join user u on u.id = k.user_id
where k.key_hash = ?1 and k.revoked_at is null;

-- name: touch
-- Written at most once a minute, so that a busy key does not write at every call.
update api_key set last_used_at = ?2 where key_hash = ?1 and coalesce(last_used_at, 0) < ?2 - 60000;

-- name: list
select id, name, prefix, created_at, last_used_at from api_key
where account_id = ?1 and revoked_at is null order by created_at desc, id desc limit 200;

-- name: count
select count(*) from api_key where account_id = ?1 and revoked_at is null;

-- name: revoke
update api_key set revoked_at = ?3 where id = ?1 and account_id = ?2 and revoked_at is null;
