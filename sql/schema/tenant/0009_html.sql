-- The HTML part: its template, and the part as it was written. `body` is empty when the plain text is made from it.
alter table content add column html text;
alter table message add column html text;
