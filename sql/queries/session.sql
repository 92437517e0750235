-- name: insert
insert into session (token_hash, id, user_id, user_agent, address, created_at, last_seen_at, expires_at, bound_host)
values (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8);

-- name: find
-- Who a live session belongs to. One that is bound to a host is nobody's on any other.
select u.account_id, u.id, u.email, u.role, s.id, s.last_seen_at
from session s join "user" u on u.id = s.user_id
where s.token_hash = ?1 and s.expires_at > ?2 and coalesce(s.bound_host, '') = ?3;

-- name: seen
update session set last_seen_at = ?2 where token_hash = ?1;

-- name: list
-- The log-ins of a person, the one used last first.
select id, user_agent, address, created_at, last_seen_at, expires_at, bound_host from session
where user_id = ?1 and expires_at > ?2
order by coalesce(last_seen_at, created_at) desc, id limit 200;

-- name: delete
delete from session where token_hash = ?1;

-- name: delete-by-id
delete from session where id = ?1 and user_id = ?2;

-- name: delete-all
delete from session where user_id = ?1;

-- name: delete-others
delete from session where user_id = ?1 and id <> ?2;

-- name: delete-expired
delete from session where expires_at <= ?1;
