-- name: insert
insert into token (token_hash, purpose, user_id, invite_id, email, created_at, expires_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: look
-- Without using it up: for the page behind the link.
select user_id, invite_id, email from token
where token_hash = ?1 and purpose = ?2 and expires_at > ?3 and (user_id is not null or invite_id is not null);

-- name: use
-- Gone with its use: of two uses at once one finds nothing.
delete from token
where token_hash = ?1 and purpose = ?2 and expires_at > ?3 and (user_id is not null or invite_id is not null)
returning user_id, invite_id, email;

-- name: end-of-user
delete from token where user_id = ?1 and purpose = ?2;

-- name: end-of-invite
delete from token where invite_id = ?1;

-- name: delete-expired
delete from token where expires_at <= ?1;
