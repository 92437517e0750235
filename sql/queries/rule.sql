-- name: insert
insert into rule (name, trigger, filter, delay_s, action, content_id, cursor, created_at, updated_at, approval)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9) returning id;

-- name: list
select id, name, active, trigger, filter, delay_s, action, content_id, cursor, created_at, approval from rule order by id limit 1000;

-- name: get
select id, name, active, trigger, filter, delay_s, action, content_id, cursor, created_at, approval from rule where id = ?1;

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

-- name: instances
-- What a rule took up, newest first, with the request that came of it.
select i.event_id, i.lead_id, i.due_at, i.status, i.reason, r.id, r.status, coalesce(r.finished_at, r.begun_at, r.run_at),
  coalesce(r.error, r.wait_reason)
from rule_instance i left join request r on r.dedupe_key = 'rule_instance:' || i.id
where i.rule_id = ?1 and i.event_id < ?2 order by i.event_id desc limit ?3;

-- name: last-run
-- When a rule last made a request. Only its newest instances are looked at: a long delay may leave many that wait.
select created_at from request where dedupe_key = 'rule_instance:' || (
  select max(id) from (select id, status from rule_instance where rule_id = ?1 order by event_id desc limit 2000) newest
  where status = 'performed');
