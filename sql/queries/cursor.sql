-- name: get
select event_id from stage_cursor where stage = ?1;

-- name: ensure
insert into stage_cursor (stage, event_id) values (?1, 0) on conflict (stage) do nothing;

-- name: advance
-- Compare and swap: a stage that lost its lease changes nothing.
update stage_cursor set event_id = ?3 where stage = ?1 and event_id = ?2;
