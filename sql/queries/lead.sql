-- name: update
update lead set email = ?2, first_name = ?3, last_name = ?4, job_title = ?5, company = ?6, phone = ?7, linkedin = ?8,
  country = ?9, data = ?10, updated_at = ?11
where id = ?1;

-- name: next-id
-- Read inside the transaction that inserts, so nobody else takes the same numbers. The number of a lead that is gone is
-- not given again: events and requests may name it.
select 1 + case when a.id > b.id then a.id else b.id end
from (select coalesce(max(id), 0) as id from lead) a,
  (select coalesce(max(cast(value as integer)), 0) as id from setting where key = 'last_lead_id') b;

-- name: keep-last-id
-- Call it before leads are removed.
insert into setting (key, value) select 'last_lead_id', cast(coalesce(max(id), 0) as text) from lead where id > 0
on conflict (key) do update set value = excluded.value
where cast(excluded.value as integer) > cast(setting.value as integer);

-- name: by-keys
-- The leads behind some keys of one kind (a JSON array of values), whole.
select k.value, l.id, l.email, l.first_name, l.last_name, l.job_title, l.company, l.phone, l.linkedin, l.country, l.data
from json_each(?2) j cross join lead_key k on k.kind = ?1 and k.value = j.value cross join lead l on l.id = k.lead_id;

-- name: get
select id, email, first_name, last_name, job_title, company, phone, linkedin, country, data, created_at, updated_at,
  (select json_group_array(t.name) from lead_tag lt join tag t on t.id = lt.tag_id where lt.lead_id = lead.id) as tags
from lead where id = ?1;

-- name: ensure-data-type
insert into data_type (name, created_at) values (?1, ?2) on conflict (name) do nothing;

-- name: data-types
select name from data_type order by name limit 1000;

-- name: count
select n from lead_count;

-- name: count-more
insert into lead_count (id, n) values (1, ?1) on conflict (id) do update set n = lead_count.n + excluded.n;
