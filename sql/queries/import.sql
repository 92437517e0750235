-- name: insert
insert into import (name, tag, status, created_at, touched_at) values (?1, ?2, 'pending', ?3, ?3) returning id;

-- name: get
select id, name, tag, status, reason, encoding, delimiter, has_header, columns, bytes_received, upload_done,
  chunk_no, chunk_offset, line, total, merged, created, updated, unchanged, skipped, failed, created_at, finished_at, touched_at,
  intent, options, undo_at, undone_at
from import where id = ?1;

-- name: list
select id, name, tag, status, reason, encoding, delimiter, has_header, columns, bytes_received, upload_done,
  chunk_no, chunk_offset, line, total, merged, created, updated, unchanged, skipped, failed, created_at, finished_at, touched_at,
  intent, options, undo_at, undone_at
from import order by id desc limit ?1;

-- name: open
-- Imports that are not finished and wait for nobody, oldest first.
select id, name, tag, status, reason, encoding, delimiter, has_header, columns, bytes_received, upload_done,
  chunk_no, chunk_offset, line, total, merged, created, updated, unchanged, skipped, failed, created_at, finished_at, touched_at,
  intent, options, undo_at, undone_at
from import where status in ('pending', 'ingesting', 'importing') and (intent is null or intent <> 'map') order by id limit ?1;

-- name: add-chunk
insert into import_chunk (import_id, no, bytes) values (?1, ?2, ?3);

-- name: count-bytes
update import set bytes_received = bytes_received + ?2, touched_at = ?3
where id = ?1 and status in ('pending', 'ingesting', 'importing') and (intent is null or intent <> 'cancel');

-- name: relabel
-- A form may name its file after sending it; nothing has been merged before the upload ends.
update import set name = coalesce(?2, name), tag = coalesce(?3, tag) where id = ?1 and upload_done = 0;

-- name: configure
-- What was said about a file before its first byte.
update import set intent = ?2, options = ?3 where id = ?1 and status = 'pending' and bytes_received = 0;

-- name: end-upload
update import set upload_done = 1, touched_at = ?2 where id = ?1 and status in ('pending', 'ingesting', 'importing');

-- name: chunks
-- Some chunks from a number on, in order.
select no, bytes from import_chunk where import_id = ?1 and no >= ?2 order by no limit ?3;

-- name: describe
-- What was sniffed, once, before the first row.
update import set encoding = ?2, delimiter = ?3, has_header = ?4, columns = ?5, status = 'ingesting'
where id = ?1 and status = 'pending' and (intent is null or intent <> 'map');

-- name: start
-- A file whose columns are mapped is read like one that was described.
update import set encoding = ?2, delimiter = ?3, has_header = ?4, columns = ?5, options = ?6, tag = ?7,
  status = 'ingesting', intent = null
where id = ?1 and status = 'pending' and intent = 'map' and upload_done = 1;

-- name: expire-held
-- Files that nobody mapped: their upload broke off before ?2, or they are all here since before ?3.
update import set status = 'failed', reason = ?4, finished_at = ?1
where intent = 'map' and status = 'pending' and ((upload_done = 0 and touched_at < ?2) or touched_at < ?3) returning id;

-- name: oldest-held
select min(touched_at) from import where intent = 'map' and status = 'pending';

-- name: count-held
select count(*) from import where intent = 'map' and status = 'pending';

-- name: cancel
-- What was read is still to be accounted for, so it goes on as an import that skips its rows.
update import set status = 'importing', intent = 'cancel'
where id = ?1 and status in ('pending', 'ingesting', 'importing') and (intent is null or intent <> 'cancel');

-- name: advance-ingest
-- Compare and swap on the checkpoint: the rows of a batch and the cursor behind them are one transaction.
update import set chunk_no = ?4, chunk_offset = ?5, line = ?6, total = total + ?7, failed = failed + ?8, encoding = ?9
where id = ?1 and chunk_no = ?2 and chunk_offset = ?3 and status = 'ingesting';

-- name: begin-importing
-- All rows are read; what is left is to merge them.
update import set status = 'importing' where id = ?1 and status = 'ingesting';

-- name: delete-chunks
delete from import_chunk where import_id = ?1 and no < ?2;

-- name: rows
-- Rows after the import cursor that are still to be merged, failed ones included so that the cursor passes them.
select no, fields, status from import_row where import_id = ?1 and no > ?2 order by no limit ?3;

-- name: advance-merge
update import set merged = ?3, created = created + ?4, updated = updated + ?5, unchanged = unchanged + ?6,
  skipped = skipped + ?7, failed = failed + ?8
where id = ?1 and merged = ?2 and status in ('ingesting', 'importing');

-- name: finish
update import set status = 'done', finished_at = ?2
where id = ?1 and status = 'importing' and merged = total;

-- name: fail
-- The file as a whole cannot be read; what was merged before stays.
update import set status = 'failed', reason = ?2, finished_at = ?3
where id = ?1 and status in ('pending', 'ingesting', 'importing') and (intent is null or intent <> 'cancel');

-- name: failed-rows
select no, line, raw, error_code, error from import_row
where import_id = ?1 and status = 'failed' and no > ?2 order by no limit ?3;

-- name: first-lead
-- The lead of the first row that has one.
select lead_id from import_row where import_id = ?1 and lead_id is not null order by no limit 1;

-- name: begin-undo
-- Only what has ended, and once.
update import set intent = 'undo', undo_at = total + 1 where id = ?1 and status = 'done' and (intent is null or intent <> 'undo');

-- name: undoing
select id, name, tag, status, reason, encoding, delimiter, has_header, columns, bytes_received, upload_done,
  chunk_no, chunk_offset, line, total, merged, created, updated, unchanged, skipped, failed, created_at, finished_at, touched_at,
  intent, options, undo_at, undone_at
from import where intent = 'undo' and undone_at is null order by id limit 1;

-- name: settled-rows
-- Rows before a number, the last one first, with what they changed.
select no, lead_id, status, fields from import_row where import_id = ?1 and no < ?2 order by no desc limit ?3;

-- name: advance-undo
update import set undo_at = ?3 where id = ?1 and undo_at = ?2 and intent = 'undo' and undone_at is null;

-- name: end-undo
update import set undone_at = ?3 where id = ?1 and undo_at = ?2 and intent = 'undo' and undone_at is null;

-- name: kept
-- What an undo had to leave, after a lead.
select lead_id, field from import_kept where import_id = ?1 order by lead_id, field limit ?2;

-- name: count-kept
select count(*) from import_kept where import_id = ?1;
