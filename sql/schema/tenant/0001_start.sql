-- One sub-account. No table names a tenant: the database is the tenant.

create table setting (
  key   text not null primary key,
  value text not null
) without rowid;

create table lead (
  id         integer primary key,
  email      text,
  first_name text,
  last_name  text,
  job_title  text,
  company    text,
  phone      text,
  linkedin   text,
  country    text,
  data       text    not null default '{}',
  created_at integer not null,
  updated_at integer not null
);

-- How a lead is found again: kind is email or linkedin, value is normalised.
create table lead_key (
  kind    text    not null,
  value   text    not null,
  lead_id integer not null references lead (id) on delete cascade,
  primary key (kind, value)
) without rowid;

create index lead_key_lead on lead_key (lead_id);

-- The names of custom fields that were seen.
create table data_type (
  name       text    not null primary key,
  created_at integer not null
) without rowid;

-- `folded` is the name in lower case: one tag, however it is typed.
create table tag (
  id         integer primary key,
  name       text    not null,
  folded     text    not null unique,
  created_at integer not null
);

-- `source` says who tagged: `import:7`, `api`, `rule:3`.
create table lead_tag (
  tag_id  integer not null references tag (id) on delete cascade,
  lead_id integer not null references lead (id) on delete cascade,
  at      integer not null,
  source  text    not null,
  primary key (tag_id, lead_id)
) without rowid;

create index lead_tag_lead on lead_tag (lead_id);

-- The ingest cursor is (chunk_no, chunk_offset, line, total); the import cursor is `merged`.
create table import (
  id             integer primary key,
  name           text    not null,
  tag            text,
  status         text    not null check (status in ('pending', 'ingesting', 'importing', 'done', 'failed')),
  reason         text,
  encoding       text,
  delimiter      text,
  has_header     integer,
  columns        text,
  bytes_received integer not null default 0,
  upload_done    integer not null default 0,
  chunk_no       integer not null default 0,
  chunk_offset   integer not null default 0,
  line           integer not null default 1,
  total          integer not null default 0,
  merged         integer not null default 0,
  created        integer not null default 0,
  updated        integer not null default 0,
  unchanged      integer not null default 0,
  skipped        integer not null default 0,
  failed         integer not null default 0,
  created_at     integer not null,
  touched_at     integer not null,
  finished_at    integer
);

create index import_open on import (id) where status in ('pending', 'ingesting', 'importing');

create table import_chunk (
  import_id integer not null references import (id) on delete cascade,
  no        integer not null,
  bytes     blob    not null,
  primary key (import_id, no)
);

-- `raw` is the record as it came, kept until the row is merged and for ever when it failed.
create table import_row (
  import_id  integer not null references import (id) on delete cascade,
  no         integer not null,
  line       integer not null,
  raw        blob,
  fields     text,
  status     text    not null,
  lead_id    integer,
  error_code text,
  error      text,
  primary key (import_id, no)
) without rowid;

create index import_row_failed on import_row (import_id, no) where status = 'failed';

-- What happened, in order. Rules and the timeline read it from cursors of their own.
create table event (
  id         integer primary key autoincrement,
  at         integer not null,
  kind       text    not null,
  lead_id    integer,
  tag_id     integer,
  import_id  integer,
  rule_id    integer,
  profile_id integer,
  request_id integer,
  data       text
);

create index event_lead on event (lead_id, id);

create table stage_cursor (
  stage    text    not null primary key,
  event_id integer not null
) without rowid;

-- Secrets inside `settings` are sealed.
create table profile (
  id         integer primary key,
  name       text    not null,
  type       text    not null,
  active     integer not null default 1,
  settings   text    not null,
  quotas     text    not null default '{}',
  next_at    integer not null default 0,
  created_at integer not null,
  updated_at integer not null
);

-- What an outreach says: templates. Never changed, so that requests in flight keep the text they were made with.
create table content (
  id            integer primary key,
  outreach_type text    not null,
  subject       text    not null,
  body          text    not null,
  created_at    integer not null
);

-- `cursor` is the last event this rule has seen.
create table rule (
  id         integer primary key,
  name       text    not null,
  active     integer not null default 1,
  trigger    text    not null,
  filter     text,
  delay_s    integer not null default 0,
  action     text    not null,
  content_id integer references content (id),
  cursor     integer not null,
  created_at integer not null,
  updated_at integer not null
);

create table rule_instance (
  id         integer primary key,
  rule_id    integer not null references rule (id) on delete cascade,
  event_id   integer not null,
  lead_id    integer not null,
  due_at     integer not null,
  status     text    not null check (status in ('pending', 'performed', 'aborted')),
  reason     text,
  unique (rule_id, event_id)
);

create index rule_instance_due on rule_instance (due_at) where status = 'pending';

-- One lifecycle for every kind of work. `dedupe_key`: the same cause never makes two requests.
create table request (
  id          integer primary key,
  kind        text    not null,
  status      text    not null check (status in ('pending', 'running', 'performed', 'failed', 'aborted', 'canceled', 'uncertain')),
  dedupe_key  text    not null unique,
  lead_id     integer,
  rule_id     integer,
  profile_id  integer,
  content_id  integer references content (id),
  run_at      integer not null,
  attempts    integer not null default 0,
  lease_token text,
  lease_until integer,
  begun_at    integer,
  finished_at integer,
  error       text,
  wait_reason text,
  created_at  integer not null,
  updated_at  integer not null
);

create index request_status on request (status, id);
create index request_unplanned on request (run_at) where status = 'pending' and profile_id is null;
create index request_due on request (profile_id, run_at) where status = 'pending' and profile_id is not null;
create index request_leased on request (lease_until) where status = 'running';
create index request_quota on request (profile_id, begun_at) where begun_at is not null;
create index request_lead on request (lead_id);

create table message (
  id         integer primary key,
  request_id integer not null unique references request (id) on delete cascade,
  lead_id    integer,
  profile_id integer,
  message_id text    not null unique,
  recipient  text    not null,
  subject    text    not null,
  body       text    not null,
  created_at integer not null,
  sent_at    integer,
  detail     text
);

-- Who must not be mailed again: `value` is a normalised address.
create table suppression (
  value      text    not null primary key,
  reason     text    not null,
  lead_id    integer,
  created_at integer not null
) without rowid;

-- Counts of events for each hour (`hour` is its start); 0 stands for no profile or no rule.
create table timeline (
  metric     text    not null,
  hour       integer not null,
  profile_id integer not null default 0,
  rule_id    integer not null default 0,
  n          integer not null,
  primary key (metric, hour, profile_id, rule_id)
) without rowid;
