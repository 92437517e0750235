-- How many leads there are. What inserts leads adds to it; the trigger takes away.
create table lead_count (
  id integer primary key,
  n  integer not null
);

insert into lead_count (id, n) select 1, count(*) from lead having count(*) > 0;

create trigger lead_count_gone after delete on lead begin update lead_count set n = n - 1; end;

-- The index that leads are searched by. Tables that begin with `search_` can be made again from the others: archives and
-- moves leave them out. They are filled behind the leads, so that an import does not wait for it.

-- Up to which lead it was filled.
create table search_state (
  id      integer primary key,
  lead_id integer not null
);

-- Leads before that place that changed since.
create table search_stale (
  lead_id integer primary key
);

create trigger search_stale_changed after update on lead
begin insert into search_stale (lead_id) values (new.id) on conflict do nothing; end;

create trigger search_stale_gone after delete on lead
begin insert into search_stale (lead_id) values (old.id) on conflict do nothing; end;

-- Words come folded, each once, with a space between them.
create virtual table search_word using fts5 (
  words, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii', prefix = '1 2 3 4'
);

-- What leads are sorted by.
create table search_order (
  lead_id    integer primary key,
  name       text    not null,
  email      text    not null,
  updated_at integer not null
);

create index search_order_name on search_order (name, lead_id);
create index search_order_email on search_order (email, lead_id);
create index search_order_updated on search_order (updated_at, lead_id);
