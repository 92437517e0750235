-- name: among
select hash from erased_address
where hash in (select e.value from json_array_elements_text(cast(?1 as json)) as e (value));

-- name: forget-failed-rows
update import_row set raw = null, error = 'The person was erased.'
where status = 'failed' and position(convert_to(?1, 'UTF8') in raw) > 0;
