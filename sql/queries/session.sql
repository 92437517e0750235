-- name: insert
insert into session (token_hash, user_id, created_at, expires_at) values (?1, ?2, ?3, ?4);

-- name: find
-- Who a live session belongs to.
select u.account_id, u.id, u.email
from session s join user u on u.id = s.user_id
where s.token_hash = ?1 and s.expires_at > ?2;

-- name: delete
delete from session where token_hash = ?1;

-- name: delete-expired
delete from session where expires_at <= ?1;

-- name: attempt
-- Failures so far, and until when the next try is refused.
select failures, blocked_until from login_attempt where email = ?1;

-- name: record-failure
-- One more failure; the caller computed how long to wait from the count it read.
insert into login_attempt (email, failures, blocked_until) values (?1, 1, ?2)
on conflict (email) do update set failures = failures + 1, blocked_until = ?2;

-- name: forget-failures
delete from login_attempt where email = ?1;
