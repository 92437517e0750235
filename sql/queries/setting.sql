-- name: get
select value from setting where key = ?1;

-- name: look
-- All that a page's frame needs, without the picture itself.
select key, value from setting where key in ('brand', 'logo_version');

-- name: put
insert into setting (key, value) values (?1, ?2) on conflict (key) do update set value = excluded.value;

-- name: delete
delete from setting where key = ?1;
