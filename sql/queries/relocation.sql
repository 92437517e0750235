-- name: get
select 1 from relocation where id = ?1;
