-- name: insert
insert into user (id, account_id, email, password_hash, created_at) values (?1, ?2, ?3, ?4, ?5)
on conflict (email) do nothing
returning id;

-- name: by-email
select id, account_id, email, password_hash from user where email = ?1;
