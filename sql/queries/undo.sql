-- name: begin
-- Only what has ended, and once, and while its file is there.
update import set intent = 'undo', undo_at = total + 1
where id = ?1 and status = 'done' and (intent is null or intent <> 'undo') and file_until > ?2;

-- name: open
select id, name, tag, status, reason, encoding, delimiter, has_header, columns, bytes_received, upload_done,
  chunk_no, chunk_offset, line, total, merged, created, updated, unchanged, skipped, failed, created_at, finished_at, touched_at,
  intent, options, undo_at, undone_at, merge_chunk, merge_offset, merge_line, file_until
from import where intent = 'undo' and undone_at is null order by id limit 1;

-- name: advance
update import set undo_at = ?3 where id = ?1 and undo_at = ?2 and intent = 'undo' and undone_at is null;

-- name: end
-- Its file is needed no longer.
update import set undone_at = ?3, file_until = ?3 where id = ?1 and undo_at = ?2 and intent = 'undo' and undone_at is null;

-- name: kept
-- What an undo had to leave, after a lead.
select lead_id, field from import_kept where import_id = ?1 order by lead_id, field limit ?2;

-- name: count-kept
select count(*) from import_kept where import_id = ?1;
