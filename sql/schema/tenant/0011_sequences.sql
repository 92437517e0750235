-- What a lead gets step by step. `definition` is JSON; each step of each version is a rule.
create table sequence (
  id         integer primary key,
  name       text    not null,
  active     integer not null default 1,
  version    integer not null default 1,
  definition text    not null,
  created_at integer not null,
  updated_at integer not null,
  deleted_at integer
);

-- Who came in, once, and under which version.
create table sequence_lead (
  sequence_id integer not null references sequence (id) on delete cascade,
  lead_id     integer not null,
  version     integer not null,
  entered_at  integer not null,
  primary key (sequence_id, lead_id)
) without rowid;

-- Of a rule that is a step: whose, which (from 1), for whom, and how the best of its texts is found. `winner` is the number
-- of the best, or -1 when there is no difference. A closed one lets nobody in any more.
alter table rule add column sequence_id integer references sequence (id);
alter table rule add column sequence_version integer;
alter table rule add column step integer;
alter table rule add column only_if text;
alter table rule add column test text;
alter table rule add column winner integer;
alter table rule add column closed integer not null default 0;

create index rule_of_sequence on rule (sequence_id, sequence_version, step) where sequence_id is not null;

-- The texts of a step that are tried against each other, from 0.
create table rule_variant (
  rule_id    integer not null references rule (id) on delete cascade,
  no         integer not null,
  content_id integer not null references content (id),
  primary key (rule_id, no)
) without rowid;

-- Which of them a mail was made of.
alter table request add column variant integer;
create index request_of_variant on request (rule_id, variant) where variant is not null;
