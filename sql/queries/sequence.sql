-- name: insert
insert into sequence (name, definition, created_at, updated_at) values (?1, ?2, ?3, ?3) returning id;

-- name: list
select id, name, active, version, definition, created_at from sequence where deleted_at is null order by id limit 200;

-- name: get
select id, name, active, version, definition, created_at from sequence where id = ?1 and deleted_at is null;

-- name: change
-- Compare and swap: a version that somebody else made meanwhile stays.
update sequence set name = ?2, active = ?3, version = ?4, definition = ?5, updated_at = ?6
where id = ?1 and version = ?7 and deleted_at is null;

-- name: delete
update sequence set deleted_at = ?2, active = 0, updated_at = ?2 where id = ?1 and deleted_at is null;

-- name: set-step
update rule set sequence_id = ?2, sequence_version = ?3, step = ?4, only_if = ?5, test = ?6 where id = ?1;

-- name: insert-variant
insert into rule_variant (rule_id, no, content_id) values (?1, ?2, ?3);

-- name: entry-cursor
-- The last event that a version has seen that lets leads in.
select cursor from rule where sequence_id = ?1 and sequence_version = ?2 and step = 1;

-- name: close
-- A version lets nobody in any more.
update rule set closed = 1, updated_at = ?3 where sequence_id = ?1 and sequence_version = ?2 and step = 1;

-- name: set-active
update rule set active = ?2, updated_at = ?3, stop_reason = case when ?2 = 1 then null else stop_reason end
where sequence_id = ?1 and retired = 0;

-- name: retire
-- Older versions in which nobody is on the way cost nothing any more. A mail of which nobody knows whether it left may still
-- turn out to have, until a time.
update rule set active = 0, retired = 1
where sequence_id = ?1 and sequence_version < ?2 and retired = 0 and sequence_version not in (
  select o.sequence_version from rule o
  where o.sequence_id = ?1 and o.sequence_version < ?2 and o.retired = 0
    and ((o.closed = 0 and o.cursor < (select coalesce(max(e.id), 0) from event e))
      or exists (select 1 from rule_instance i where i.rule_id = o.id and i.status = 'pending')
      or exists (select 1 from request q where q.rule_id = o.id and q.status in ('pending', 'running'))
      or exists (select 1 from request q where q.rule_id = o.id and q.status = 'uncertain' and q.finished_at > ?3)));

-- name: alive
-- Versions that leads are on the way in, or may come into.
select count(distinct sequence_version) from rule where sequence_id = ?1 and retired = 0;

-- name: rules
select id from rule where sequence_id = ?1 order by id;

-- name: enter
-- Whom an entry took up between two events.
insert into sequence_lead (sequence_id, lead_id, version, entered_at, event_id)
select cast(?4 as bigint), i.lead_id, cast(?5 as bigint), cast(?6 as bigint), i.event_id from rule_instance i
where i.rule_id = ?1 and i.event_id > ?2 and i.event_id <= ?3
on conflict (sequence_id, lead_id) do nothing;

-- name: entered
-- How many came in, and how many of them under older versions.
select count(*), coalesce(sum(case when version < ?2 then 1 else 0 end), 0) from sequence_lead where sequence_id = ?1;

-- name: steps
-- The steps of a version: how many leads wait for each, had it, went past it, or left.
select r.id, r.winner, r.stop_reason,
  (select count(*) from rule_instance i where i.rule_id = r.id and i.status = 'pending'),
  (select count(*) from rule_instance i where i.rule_id = r.id and i.status = 'performed' and i.reason is null),
  (select count(*) from rule_instance i where i.rule_id = r.id and i.status = 'performed' and i.reason is not null),
  (select count(*) from rule_instance i where i.rule_id = r.id and i.status = 'aborted')
from rule r where r.sequence_id = ?1 and r.sequence_version = ?2 order by r.step;

-- name: waiting-elsewhere
-- How many leads wait for steps of older versions.
select count(*) from rule r join rule_instance i on i.rule_id = r.id and i.status = 'pending'
where r.sequence_id = ?1 and r.sequence_version < ?2;

-- name: tried
-- How each text of a step did, of the mails that left before a time: sent, and with the effect.
select q.variant, count(*), sum(case when exists (
    select 1 from event e where e.lead_id = q.lead_id and e.request_id = q.id and e.kind = ?2) then 1 else 0 end)
from request q
where q.rule_id = ?1 and q.variant is not null and q.status = 'performed' and q.finished_at <= ?3
group by q.variant order by q.variant;

-- name: compare
-- Somebody compares the texts of a step now, unless that was after a time.
update rule set compared_at = ?2 where id = ?1 and compared_at <= ?3;

-- name: decide
update rule set winner = ?2 where id = ?1 and winner is null;
