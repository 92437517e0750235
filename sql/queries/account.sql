-- name: insert
insert into account (id, name, created_at) values (?1, ?2, ?3);

-- name: get
select id, name from account where id = ?1;

-- name: get-subaccount-names
-- Names for the ids that grants and keys carry.
select id, name from subaccount where account_id = ?1 order by name, id limit 2000;
