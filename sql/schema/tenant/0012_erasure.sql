-- Addresses of people who were erased, as SHA-256 in hexadecimal digits: they are never written to and never imported
-- again, and nobody can read here who they were.
create table erased_address (
  hash       text    not null primary key,
  created_at integer not null
) without rowid;
