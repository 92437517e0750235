-- name: insert
insert into rule (name, trigger, filter, delay_s, action, content_id, cursor, created_at, updated_at, approval, skip_repliers, active)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11) returning id;

-- name: insert-version
insert into rule_version (rule_id, version, filter, action, content_id, approval, skip_repliers, created_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
on conflict (rule_id, version) do update set filter = excluded.filter, action = excluded.action, content_id = excluded.content_id,
  approval = excluded.approval, skip_repliers = excluded.skip_repliers;

-- name: list
select id, name, active, trigger, filter, delay_s, action, content_id, cursor, created_at, approval, version, skip_repliers, stop_reason,
  sequence_id, sequence_version, step
from rule where deleted_at is null and sequence_id is null order by id limit 1000;

-- name: get
select id, name, active, trigger, filter, delay_s, action, content_id, cursor, created_at, approval, version, skip_repliers, stop_reason,
  sequence_id, sequence_version, step
from rule where id = ?1 and deleted_at is null;

-- name: names
-- Also of those that were deleted: what they did still names them.
select id, name from rule order by id desc limit 10000;

-- name: change
update rule set name = ?2, active = ?3, filter = ?4, delay_s = ?5, action = ?6, content_id = ?7, approval = ?8, skip_repliers = ?9,
  version = ?10, updated_at = ?11, stop_reason = case when ?3 = 1 then null else stop_reason end
where id = ?1 and version = ?12 and deleted_at is null;

-- name: in-use
-- Whether a version ever took somebody up.
select 1 from rule_instance where rule_id = ?1 and version = ?2 limit 1;

-- name: forget-versions
-- Versions before the current one that nobody waits for.
delete from rule_version
where rule_id = ?1 and version < ?2 and not exists (
  select 1 from rule_instance i where i.rule_id = rule_version.rule_id and i.version = rule_version.version and i.status = 'pending');

-- name: set-active
update rule set active = ?2, updated_at = ?3, stop_reason = case when ?2 = 1 then null else stop_reason end
where id = ?1 and deleted_at is null;

-- name: stop
update rule set active = 0, stop_reason = ?2, updated_at = ?3 where id = ?1;

-- name: loops
-- A lead that a rule gave up between two events, because the rule set itself off.
select lead_id from rule_instance
where rule_id = ?1 and event_id > ?2 and event_id <= ?3 and status = 'aborted' and root_id is not null limit 1;

-- name: delete
update rule set deleted_at = ?2, active = 0, updated_at = ?2 where id = ?1 and deleted_at is null;

-- name: abort-instances
update rule_instance set status = 'aborted', reason = ?2
where id in (select id from rule_instance where rule_id = ?1 and status = 'pending' limit 20000);

-- name: advance
-- Compare and swap, like every cursor. One that was switched off or closed meanwhile takes nobody up.
update rule set cursor = ?3 where id = ?1 and cursor = ?2 and active = 1 and closed = 0;

-- name: look
-- Everything that rules have to do: versions of active rules with events that they have not seen, or leads that wait.
select w.id, w.version, w.behind, w.due_at from (
  select r.id, v.version, case when v.version = r.version and r.closed = 0 and r.cursor < l.last then 1 else 0 end as behind,
    (select min(i.due_at) from rule_instance i where i.rule_id = r.id and i.version = v.version and i.status = 'pending') as due_at
  from rule r join rule_version v on v.rule_id = r.id cross join (select coalesce(max(id), 0) as last from event) l
  where r.active = 1) w
where w.behind = 1 or w.due_at is not null
order by w.id, w.version;

-- name: version
select v.filter, v.action, v.content_id, v.approval, v.skip_repliers, r.sequence_id, r.only_if, r.test, r.winner,
  (select count(*) from rule_variant w where w.rule_id = r.id)
from rule_version v join rule r on r.id = v.rule_id where v.rule_id = ?1 and v.version = ?2;

-- name: bound
-- The last of the instances of a version that are dealt with next: when it was due, and its id. None while the rule is off.
select due_at, id from (
  select due_at, id from rule_instance
  where rule_id = ?1 and version = ?2 and status = 'pending' and due_at <= ?3
    and exists (select 1 from rule r where r.id = ?1 and r.active = 1)
  order by due_at, id limit ?4) b
order by due_at desc, id desc limit 1;

-- name: counts
select status, count(*) from rule_instance where rule_id = ?1 group by status;

-- name: insert-content
insert into content (outreach_type, subject, body, created_at, html) values (?1, ?2, ?3, ?4, ?5) returning id;

-- name: content
select subject, body, html from content where id = ?1;

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
