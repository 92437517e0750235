-- What a person wants of an import beside its running: to map its columns first, to end it, to take it back.
alter table import add column intent text check (intent in ('map', 'cancel', 'undo'));

-- How its file is to be read and what is to become of its rows, as JSON.
alter table import add column options text not null default '{}';

-- The undo cursor: rows from this number on are taken back.
alter table import add column undo_at integer;

alter table import add column undone_at integer;

create index import_held on import (touched_at) where intent = 'map' and status = 'pending';

create index import_undoing on import (id) where intent = 'undo' and undone_at is null;

-- Which imports brought a lead: an undo leaves what a later one brought, too.
create index import_row_lead on import_row (lead_id) where lead_id is not null;

-- What an undo had to leave as it is, because somebody changed it after the import: a field's name, or `lead` for a
-- lead that could not be removed.
create table import_kept (
  import_id integer not null references import (id) on delete cascade,
  lead_id   integer not null,
  field     text    not null,
  primary key (import_id, lead_id, field)
) without rowid;
