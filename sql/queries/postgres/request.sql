-- name: assign
update request set profile_id = ?2, wait_reason = null, updated_at = ?3
where id in (select cast(e.value as bigint) from json_array_elements_text(cast(?1 as json)) as e (value))
  and status = 'pending' and profile_id is null;
