-- name: insert
insert into audit_log (account_id, at, user_id, who, via, address, action, subject_id, subject, before_state, after_state)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11);

-- name: delete-old
delete from audit_log where at < ?1;

-- name: list
-- The log of an account, newest first, below a cursor.
select id, at, user_id, who, via, address, action, subject_id, subject, before_state, after_state from audit_log
where account_id = ?1 and id < ?2 order by id desc limit ?3;

-- name: list-operator
-- The same for an account that runs the installation, with what concerns all of it.
select id, at, user_id, who, via, address, action, subject_id, subject, before_state, after_state from audit_log
where (account_id = ?1 or account_id is null) and id < ?2 order by id desc limit ?3;
