-- name: ensure
insert into tag (name, folded, created_at) values (?1, ?2, ?3) on conflict (folded) do nothing;

-- name: by-folded
select id, name from tag where folded = ?1;

-- name: list
select id, name from tag order by folded limit 500;

-- name: add-to-lead
insert into lead_tag (tag_id, lead_id, at, source) values (?1, ?2, ?3, ?4) on conflict do nothing;

-- name: of-lead
select t.name, lt.at, lt.source from lead_tag lt join tag t on t.id = lt.tag_id where lt.lead_id = ?1 order by t.folded;
