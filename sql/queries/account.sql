-- name: insert
insert into account (id, name, created_at) values (?1, ?2, ?3);

-- name: get
select id, name from account where id = ?1;
