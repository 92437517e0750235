-- name: delete-old
delete from api_key where revoked_at < ?1;

-- name: insert
insert into api_key (id, account_id, user_id, name, prefix, key_hash, scopes, subaccounts, expires_at, created_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10);

-- name: find
-- Who a live key belongs to.
select u.account_id, u.id, u.email, u.role, k.scopes, k.subaccounts, k.last_used_at
from api_key k join "user" u on u.id = k.user_id
where k.key_hash = ?1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > ?2);

-- name: touch
update api_key set last_used_at = ?2 where key_hash = ?1;

-- name: list
-- Those that were not revoked, newest first, with their owners.
select k.id, k.name, k.prefix, k.scopes, k.subaccounts, k.expires_at, k.created_at, k.last_used_at, u.id, u.email
from api_key k join "user" u on u.id = k.user_id
where k.account_id = ?1 and k.revoked_at is null order by k.created_at desc, k.id desc limit 200;

-- name: get
select k.id, k.name, k.prefix, k.scopes, k.subaccounts, k.expires_at, k.created_at, k.last_used_at, u.id, u.email
from api_key k join "user" u on u.id = k.user_id
where k.id = ?1 and k.account_id = ?2 and k.revoked_at is null;

-- name: count
select count(*) from api_key where account_id = ?1 and revoked_at is null;

-- name: revoke-of-user
update api_key set revoked_at = ?2 where user_id = ?1 and revoked_at is null;

-- name: revoke
update api_key set revoked_at = ?3 where id = ?1 and account_id = ?2 and revoked_at is null;
