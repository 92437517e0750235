-- name: among
select hash from erased_address
where hash in (select e.value from json_array_elements_text(cast(?1 as json)) as e (value));
