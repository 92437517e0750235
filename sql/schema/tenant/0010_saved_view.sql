-- Searches for leads that people keep: `search` is one as the API takes it, in JSON. One without an owner (a person's UUID)
-- is everybody's.
create table saved_view (
  id         integer primary key,
  name       text    not null,
  search     text    not null,
  owner_id   text,
  created_at integer not null
);
