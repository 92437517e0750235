-- name: insert
insert into message (request_id, lead_id, profile_id, message_id, recipient, subject, body, created_at, html)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
on conflict (request_id) do update set profile_id = excluded.profile_id;

-- name: of-request
select message_id, recipient, subject, body, sent_at, detail, html from message where request_id = ?1;

-- name: sent
update message set sent_at = ?2, detail = ?3 where request_id = ?1;
