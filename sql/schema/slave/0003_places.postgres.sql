-- What 0003_places.sql says, where a table need not be made anew for it.

alter table tenant alter column slot drop not null;

alter table tenant add column database text unique;

alter table tenant add check ((slot is null) <> (database is null));
