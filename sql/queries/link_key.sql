-- name: all
select sealed from link_key where tenant_id = ?1 order by sealed;

-- name: delete
delete from link_key where tenant_id = ?1;

-- name: insert
insert into link_key (tenant_id, sealed) values (?1, ?2);
