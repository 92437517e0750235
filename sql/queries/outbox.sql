-- name: insert
insert into outbox (id, account_id, cause, recipient, sender_name, subject, body, status, send_before, next_attempt_at, created_at, ended_at)
values (?1, ?2, ?3, ?4, ?11, ?5, ?6, ?7, ?8, ?9, ?9, ?10);

-- name: any-due
select 1 from outbox
where status = 'waiting' and next_attempt_at <= ?1 and lease_until <= ?1 and (send_before is null or send_before > ?1) limit 1;

-- name: claim
-- Leases the oldest mails that are due, so that two workers never send the same one. A link that has ended is not sent.
update outbox set lease_token = ?1, lease_until = ?2, attempts = attempts + 1
where id in (
  select id from outbox
  where status = 'waiting' and next_attempt_at <= ?3 and lease_until <= ?3 and (send_before is null or send_before > ?3)
  order by next_attempt_at, id limit ?4
) and status = 'waiting' and lease_until <= ?3
returning id, recipient, subject, body, attempts, sender_name;

-- name: get-leased
select account_id, cause, recipient, attempts, send_before from outbox where id = ?1 and lease_token = ?2 and status = 'waiting';

-- name: sent
update outbox set status = 'sent', body = '', error = null, ended_at = ?3, lease_token = null, lease_until = 0
where id = ?1 and lease_token = ?2 and status = 'waiting';

-- name: refused
update outbox set status = 'refused', body = '', error = ?4, ended_at = ?3, lease_token = null, lease_until = 0
where id = ?1 and lease_token = ?2 and status = 'waiting';

-- name: postpone
update outbox set error = ?4, next_attempt_at = ?3, lease_token = null, lease_until = 0
where id = ?1 and lease_token = ?2 and status = 'waiting';

-- name: delete-late
-- There is no use in sending these any more.
delete from outbox where status = 'waiting' and send_before <= ?1 and lease_until <= ?1;

-- name: delete-old
delete from outbox where ended_at < ?1;
