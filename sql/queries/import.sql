-- name: insert
insert into import (name, tag, status, created_at, touched_at) values (?1, ?2, 'pending', ?3, ?3) returning id;

-- name: get
select id, name, tag, status, reason, encoding, delimiter, has_header, columns, bytes_received, upload_done,
  chunk_no, chunk_offset, line, total, merged, created, updated, unchanged, skipped, failed, created_at, finished_at, touched_at,
  intent, options, undo_at, undone_at, merge_chunk, merge_offset, merge_line, file_until
from import where id = ?1;

-- name: list
select id, name, tag, status, reason, encoding, delimiter, has_header, columns, bytes_received, upload_done,
  chunk_no, chunk_offset, line, total, merged, created, updated, unchanged, skipped, failed, created_at, finished_at, touched_at,
  intent, options, undo_at, undone_at, merge_chunk, merge_offset, merge_line, file_until
from import order by id desc limit ?1;

-- name: open
-- Imports that are not finished and wait for nobody, oldest first.
select id, name, tag, status, reason, encoding, delimiter, has_header, columns, bytes_received, upload_done,
  chunk_no, chunk_offset, line, total, merged, created, updated, unchanged, skipped, failed, created_at, finished_at, touched_at,
  intent, options, undo_at, undone_at, merge_chunk, merge_offset, merge_line, file_until
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
-- Compare and swap on the checkpoint.
update import set chunk_no = ?4, chunk_offset = ?5, line = ?6, total = total + ?7, encoding = ?8
where id = ?1 and chunk_no = ?2 and chunk_offset = ?3 and status = 'ingesting';

-- name: begin-importing
-- All rows are read; what is left is to merge them.
update import set status = 'importing' where id = ?1 and status = 'ingesting';

-- name: delete-chunks
delete from import_chunk where import_id = ?1 and no < ?2;

-- name: advance-merge
update import set merged = ?3, created = created + ?4, updated = updated + ?5, unchanged = unchanged + ?6,
  skipped = skipped + ?7, failed = failed + ?8, merge_chunk = ?9, merge_offset = ?10, merge_line = ?11
where id = ?1 and merged = ?2 and status = 'importing' and intent is null;

-- name: finish
update import set status = 'done', finished_at = ?2, file_until = ?3
where id = ?1 and status = 'importing' and intent is null and merged = total;

-- name: end-canceled
-- What was not merged is skipped; the file stays for as long as it can be taken back.
update import set status = 'done', finished_at = ?2, file_until = case when merged > 0 then ?3 else ?2 end,
  skipped = total - created - updated - unchanged - failed, merged = total
where id = ?1 and status = 'importing' and intent = 'cancel';

-- name: bound-files
-- Older files go when newer ones that are kept have that many bytes in all.
update import set file_until = ?1 where file_until > ?1 and (intent is null or intent <> 'undo') and id in (
  select k.id from (
    select i.id, sum(i.bytes_received) over (order by i.id desc) - i.bytes_received as newer
    from import i where i.file_until > ?1) k
  where k.newer >= ?2);

-- name: expired
-- Files that are kept no longer.
select id from import
where file_until <= ?1 and (intent is null or intent <> 'undo' or undone_at is not null) order by file_until limit 1;

-- name: drop-file
update import set file_until = null where id = ?1 and not exists (select 1 from import_chunk where import_id = ?1);

-- name: drop-chunks
delete from import_chunk where import_id = ?1
  and no < (select min(no) from import_chunk where import_id = ?1) + ?2;

-- name: next-expiry
select min(file_until) from import where file_until is not null and (intent is null or intent <> 'undo' or undone_at is not null);

-- name: fail
-- The file as a whole cannot be read; nothing of it was merged.
update import set status = 'failed', reason = ?2, finished_at = ?3
where id = ?1 and status in ('pending', 'ingesting', 'importing') and (intent is null or intent <> 'cancel');
