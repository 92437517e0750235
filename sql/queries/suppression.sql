-- name: insert
insert into suppression (value, reason, lead_id, created_at) values (?1, ?2, ?3, ?4) on conflict (value) do nothing;

-- name: get
select reason, created_at from suppression where value = ?1;

-- name: list-in
-- Which of these addresses (a JSON array) are suppressed.
select value from suppression where value in (select value from json_each(?1));
