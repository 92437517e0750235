-- name: insert
insert into "user" (id, account_id, email, password_hash, role, confirmed_at, created_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
on conflict (email) do nothing
returning id;

-- name: by-email
select id, account_id, email, password_hash, role, confirmed_at, totp, totp_pending, totp_step, created_at, last_seen_at
from "user" where email = ?1;

-- name: get
select id, account_id, email, password_hash, role, confirmed_at, totp, totp_pending, totp_step, created_at, last_seen_at
from "user" where id = ?1;

-- name: list
-- The people of an account, in the order in which they came.
select id, account_id, email, password_hash, role, confirmed_at, totp, totp_pending, totp_step, created_at, last_seen_at
from "user" where account_id = ?1 order by created_at, id limit 1000;

-- name: owners
select count(*) from "user" where account_id = ?1 and role = 'owner';

-- name: set-role
update "user" set role = ?3 where id = ?1 and account_id = ?2;

-- name: delete
delete from "user" where id = ?1 and account_id = ?2;

-- name: seen
update "user" set last_seen_at = ?2 where id = ?1;

-- name: set-password
update "user" set password_hash = ?2 where id = ?1;

-- name: confirm
update "user" set confirmed_at = ?2 where id = ?1 and confirmed_at is null;

-- name: set-email
-- Nothing happens when somebody else has the address by now.
update "user" set email = ?2, confirmed_at = ?3
where id = ?1 and not exists (select 1 from "user" o where o.email = ?2 and o.id <> ?1);

-- name: set-totp-pending
update "user" set totp_pending = ?2 where id = ?1;

-- name: enable-totp
-- The secret that a code proved, if it is still the one being set up. That code counts as used.
update "user" set totp = totp_pending, totp_pending = null, totp_step = ?2 where id = ?1 and totp_pending = ?3;

-- name: disable-totp
update "user" set totp = null, totp_pending = null where id = ?1;

-- name: use-totp-step
-- A step that is not later than the last one was used already.
update "user" set totp_step = ?2 where id = ?1 and totp_step < ?2;

-- name: grants
select subaccount_id, role from user_grant where user_id = ?1 order by subaccount_id;

-- name: account-grants
select g.user_id, g.subaccount_id, g.role
from user_grant g join "user" u on u.id = g.user_id where u.account_id = ?1 order by g.user_id, g.subaccount_id;

-- name: put-grant
insert into user_grant (user_id, subaccount_id, role, created_at) values (?1, ?2, ?3, ?4)
on conflict (user_id, subaccount_id) do update set role = ?3;

-- name: delete-grant
delete from user_grant where user_id = ?1 and subaccount_id = ?2;

-- name: insert-recovery-code
insert into recovery_code (user_id, code_hash) values (?1, ?2);

-- name: delete-recovery-codes
delete from recovery_code where user_id = ?1;

-- name: use-recovery-code
update recovery_code set used_at = ?3 where user_id = ?1 and code_hash = ?2 and used_at is null;

-- name: recovery-codes-left
select count(*) from recovery_code where user_id = ?1 and used_at is null;
