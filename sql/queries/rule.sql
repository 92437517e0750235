-- name: insert
insert into rule (name, trigger, filter, delay_s, action, content_id, cursor, created_at, updated_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) returning id;

-- name: list
select id, name, active, trigger, filter, delay_s, action, content_id, cursor, created_at from rule order by id limit 1000;

-- name: get
select id, name, active, trigger, filter, delay_s, action, content_id, cursor, created_at from rule where id = ?1;

-- name: set-active
update rule set active = ?2, updated_at = ?3 where id = ?1;

-- name: advance
-- Compare and swap, like every cursor.
update rule set cursor = ?3 where id = ?1 and cursor = ?2;

-- name: next-due-instance
select min(i.due_at) from rule_instance i join rule r on r.id = i.rule_id and r.active = 1 where i.status = 'pending';

-- name: counts
select status, count(*) from rule_instance where rule_id = ?1 group by status;

-- name: insert-content
insert into content (outreach_type, subject, body, created_at) values (?1, ?2, ?3, ?4) returning id;

-- name: content
select subject, body from content where id = ?1;
