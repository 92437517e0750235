-- A file stays as it came until `file_until`, so that what it changed can be taken back; it is read twice, from cursors of
-- their own: once to know that all of it can be read, and once to merge it.
alter table import add column merge_chunk integer not null default 0;
alter table import add column merge_offset integer not null default 0;
alter table import add column merge_line integer not null default 1;
alter table import add column file_until integer;

create index import_file on import (file_until) where file_until is not null;

-- Rows that were merged together: where they begin in the file, and the leads that they made, numbered in their order.
-- Only rows that made none have a line in `import_row`, too.
create table import_batch (
  import_id    integer not null references import (id) on delete cascade,
  no           integer not null,
  rows         integer not null,
  chunk_no     integer not null,
  chunk_offset integer not null,
  line         integer not null,
  first_lead   integer,
  last_lead    integer,
  primary key (import_id, no)
) without rowid;

create index import_batch_leads on import_batch (first_lead) where first_lead is not null;

-- What an older version had begun to read is no longer there as a file.
update import set skipped = total - created - updated - unchanged - failed, merged = total, status = 'done',
  finished_at = touched_at
where status in ('pending', 'ingesting', 'importing') and intent = 'cancel';

update import set status = 'failed', finished_at = touched_at, reason =
  'Sluice was updated while it read this file. Leads that it had merged stay: upload the file again to merge the rest.'
where status in ('ingesting', 'importing');

-- An undo that was under way ends where it is.
update import set intent = null, undo_at = null,
  reason = 'An update of Sluice interrupted its undo: some of its leads are what they were before it, the others stay.'
where intent = 'undo' and undone_at is null;

delete from import_chunk where import_id in (select id from import where status in ('done', 'failed'));
