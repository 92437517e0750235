-- The worker that a profile is for (the id of its node); nobody in particular when there is none.
alter table profile add column worker text;
