-- name: insert
insert into event (at, kind, lead_id, tag_id, import_id, rule_id, profile_id, request_id, data)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);

-- name: last-id
select coalesce(max(id), 0) from event;

-- name: of-lead
select id, at, kind, tag_id, import_id, rule_id, profile_id, request_id, data from event
where lead_id = ?1 order by id desc limit 100;
