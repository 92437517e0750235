-- name: get
select account_id, user_id, email, checked_at from credential where token_hash = ?1 and checked_at > ?2;

-- name: put
insert into credential (token_hash, account_id, user_id, email, checked_at) values (?1, ?2, ?3, ?4, ?5)
on conflict (token_hash) do update set account_id = excluded.account_id, user_id = excluded.user_id,
  email = excluded.email, checked_at = excluded.checked_at;

-- name: delete-old
delete from credential where checked_at < ?1;

-- name: register-worker
insert into worker (name, version, seen_at) values (?1, ?2, ?3)
on conflict (name) do update set version = excluded.version, seen_at = excluded.seen_at;
