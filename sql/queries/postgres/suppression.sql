-- name: list-in
select value from suppression
where value in (select e.value from json_array_elements_text(cast(?1 as json)) as e (value));
