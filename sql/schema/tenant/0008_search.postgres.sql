create table lead_count (
  id integer primary key,
  n  integer not null
);

insert into lead_count (id, n) select 1, count(*) from lead having count(*) > 0;

create or replace function lead_count_gone() returns trigger language plpgsql as
$$ begin update lead_count set n = n - (select count(*) from gone); return null; end $$;

create trigger lead_count_gone after delete on lead referencing old table as gone
for each statement execute function lead_count_gone();

create table search_state (
  id      integer primary key,
  lead_id integer not null
);

create table search_stale (
  lead_id integer primary key
);

create or replace function search_stale_add() returns trigger language plpgsql as
$$ begin insert into search_stale (lead_id) select id from touched on conflict do nothing; return null; end $$;

create trigger search_stale_changed after update on lead referencing new table as touched
for each statement execute function search_stale_add();

create trigger search_stale_gone after delete on lead referencing old table as touched
for each statement execute function search_stale_add();

create table search_word (
  lead_id integer primary key,
  words   tsvector not null
);

create index search_word_words on search_word using gin (words);

create table search_order (
  lead_id    integer primary key,
  name       text collate "C" not null,
  email      text collate "C" not null,
  updated_at integer not null
);

create index search_order_name on search_order (name, lead_id);
create index search_order_email on search_order (email, lead_id);
create index search_order_updated on search_order (updated_at, lead_id);
