-- name: by-keys
select k.value, l.id, l.email, l.first_name, l.last_name, l.job_title, l.company, l.phone, l.linkedin, l.country, l.data
from lead_key k join lead l on l.id = k.lead_id
where k.kind = ?1 and k.value in (select e.value from json_array_elements_text(cast(?2 as json)) as e (value));

-- name: get
select id, email, first_name, last_name, job_title, company, phone, linkedin, country, data, created_at, updated_at,
  (select coalesce(cast(json_agg(t.name order by lt.tag_id) as text), '[]')
   from lead_tag lt join tag t on t.id = lt.tag_id where lt.lead_id = lead.id) as tags
from lead where id = ?1;
