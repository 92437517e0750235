-- name: forget-stale
delete from search_stale where lead_id in (select cast(e.value as bigint) from json_array_elements_text(cast(?1 as json)) as e (value));

-- name: forget-words
delete from search_word where lead_id in (select cast(e.value as bigint) from json_array_elements_text(cast(?1 as json)) as e (value));

-- name: forget-order
delete from search_order where lead_id in (select cast(e.value as bigint) from json_array_elements_text(cast(?1 as json)) as e (value));
