-- name: get
select value from setting where key = ?1;

-- name: insert
-- The first value stays.
insert into setting (key, value) values (?1, ?2) on conflict (key) do nothing;

-- name: put
insert into setting (key, value) values (?1, ?2) on conflict (key) do update set value = excluded.value;
