-- name: failed
select no, line, raw, error_code, error from import_row
where import_id = ?1 and status = 'failed' and no > ?2 order by no limit ?3;

-- name: first-lead
-- The lead of the first batch that made one, or of the first row that met one.
select case when b.lead_id is null then r.lead_id else b.lead_id end
from (select min(first_lead) as lead_id from import_batch where import_id = ?1) b,
  (select min(lead_id) as lead_id from import_row where import_id = ?1) r;

-- name: add-batch
insert into import_batch (import_id, no, rows, chunk_no, chunk_offset, line, first_lead, last_lead)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);

-- name: batch-before
select no, rows, chunk_no, chunk_offset, line, first_lead from import_batch
where import_id = ?1 and no < ?2 order by no desc limit 1;

-- name: between
-- The rows of a batch that made no lead.
select no, lead_id, status, fields from import_row where import_id = ?1 and no >= ?2 and no < ?3 order by no;
