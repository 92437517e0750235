-- name: get
select claims, checked_at from credential where token_hash = ?1 and ends_at > ?2;

-- name: put
insert into credential (token_hash, claims, checked_at, ends_at) values (?1, ?2, ?3, ?4)
on conflict (token_hash) do update set claims = excluded.claims, checked_at = excluded.checked_at, ends_at = excluded.ends_at;

-- name: keep
-- The master does not answer: what it said last goes on for a moment without asking again. The end does not move.
update credential set checked_at = ?2 where token_hash = ?1;

-- name: delete
delete from credential where token_hash = ?1;

-- name: delete-all
delete from credential;

-- name: delete-old
delete from credential where ends_at <= ?1;

-- name: register-worker
insert into worker (name, version, seen_at) values (?1, ?2, ?3)
on conflict (name) do update set version = excluded.version, seen_at = excluded.seen_at;

-- name: worker-seen
-- Written down now and then only: a worker calls all the time.
update worker set seen_at = ?2 where name = ?1 and seen_at < ?3;

-- name: last-worker
select max(seen_at) from worker;
