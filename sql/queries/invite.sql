-- name: delete-old
delete from invite where coalesce(accepted_at, revoked_at, expires_at) < ?1;

-- name: insert
insert into invite (id, account_id, email, role, invited_by, created_at, expires_at, invited_by_id)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);

-- name: insert-grant
insert into invite_grant (invite_id, subaccount_id, role) values (?1, ?2, ?3);

-- name: grants
select subaccount_id, role from invite_grant where invite_id = ?1 order by subaccount_id;

-- name: list
-- Those that still can be accepted, or that nobody accepted in time, newest first.
select id, account_id, email, role, invited_by, created_at, expires_at, invited_by_id from invite
where account_id = ?1 and accepted_at is null and revoked_at is null order by created_at desc, id desc limit 200;

-- name: get
select id, account_id, email, role, invited_by, created_at, expires_at, invited_by_id from invite
where id = ?1 and account_id = ?2 and accepted_at is null and revoked_at is null;

-- name: open
select id, account_id, email, role, invited_by, created_at, expires_at, invited_by_id from invite
where id = ?1 and accepted_at is null and revoked_at is null and expires_at > ?2;

-- name: count
select count(*) from invite where account_id = ?1 and accepted_at is null and revoked_at is null;

-- name: extend
update invite set expires_at = ?2 where id = ?1 and accepted_at is null and revoked_at is null;

-- name: revoke
update invite set revoked_at = ?3 where id = ?1 and account_id = ?2 and accepted_at is null and revoked_at is null;

-- name: revoke-of-email
-- A new invitation takes the place of the last one to the same address.
update invite set revoked_at = ?3 where account_id = ?1 and email = ?2 and accepted_at is null and revoked_at is null;

-- name: accept
update invite set accepted_at = ?2 where id = ?1 and accepted_at is null and revoked_at is null and expires_at > ?2;

-- name: accept-grants
insert into user_grant (user_id, subaccount_id, role, created_at)
select u.id, g.subaccount_id, g.role, u.created_at
from invite_grant g join "user" u on u.id = ?2 where g.invite_id = ?1;
