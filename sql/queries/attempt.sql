-- name: get
-- Failures so far, when the last one was, and until when the next try is refused.
select failures, last_at, blocked_until from attempt where kind = ?1 and name = ?2;

-- name: fail
-- One more failure; those before ?5 are forgotten. The caller computed how long to wait from the count it read.
insert into attempt (kind, name, failures, last_at, blocked_until) values (?1, ?2, 1, ?3, ?4)
on conflict (kind, name) do update
set failures = case when attempt.last_at < ?5 then 1 else attempt.failures + 1 end, last_at = ?3, blocked_until = ?4;

-- name: forget
delete from attempt where kind = ?1 and name = ?2;

-- name: delete-old
delete from attempt where last_at < ?1 and blocked_until < ?1;
