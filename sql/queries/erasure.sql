-- name: any
select 1 from erased_address limit 1;

-- name: among
-- Which of these hashes (a JSON array) are those of people who were erased.
select hash from erased_address where hash in (select value from json_each(?1));

-- name: remember
insert into erased_address (hash, created_at) values (?1, ?2) on conflict (hash) do nothing;

-- name: in-hand
-- A mail that a worker has in hand.
select 1 from request where lead_id = ?1 and status = 'running' limit 1;

-- name: forget-suppression
delete from suppression where value = ?1;

-- name: forget-messages
delete from message where request_id in (select id from request where lead_id = ?1);

-- name: forget-reasons
update request set error = null, wait_reason = null where lead_id = ?1;

-- name: forget-event-data
update event set data = null where lead_id = ?1 and data is not null;

-- name: forget-rows
update import_row set raw = null, fields = null, error = null where lead_id = ?1;

-- name: forget-files
-- Files that brought the lead are kept no longer; those that are not merged yet go when they are.
update import set file_until = ?2 where file_until > ?2 and (
  id in (select import_id from import_row where lead_id = ?1)
  or id in (select import_id from import_batch where first_lead <= ?1 and last_lead >= ?1));

-- name: forget-failed-rows
-- Rows that became nobody's, but name the address as it is kept.
update import_row set raw = null, error = 'The person was erased.'
where status = 'failed' and instr(raw, cast(?1 as blob)) > 0;

-- name: forget-kept
delete from import_kept where lead_id = ?1;

-- name: end-instances
update rule_instance set status = 'aborted', reason = 'The lead was erased.' where lead_id = ?1 and status = 'pending';

-- name: forget-lead
delete from lead where id = ?1;

-- name: events
-- Everything that happened to a lead, oldest first.
select id, at, kind, tag_id, import_id, rule_id, profile_id, request_id, data from event
where lead_id = ?1 order by id limit 10000;

-- name: messages
-- The mails to a lead, oldest first.
select message_id, recipient, subject, body, sent_at, detail, html from message
where request_id in (select id from request where lead_id = ?1) order by id limit 10000;
