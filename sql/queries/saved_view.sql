-- name: insert
insert into saved_view (name, search, owner_id, created_at) values (?1, ?2, ?3, ?4) returning id;

-- name: list
-- Everybody's, and those of one person.
select id, name, search, owner_id, created_at from saved_view
where owner_id is null or owner_id = ?1 order by lower(name), id limit 1000;

-- name: count
select count(*) from saved_view;

-- name: delete
delete from saved_view where id = ?1 and (owner_id is null or owner_id = ?2);
