-- What a rule does, version by version: who was taken up under one is served by it, whatever the rule says by now.
create table rule_version (
  rule_id       integer not null references rule (id) on delete cascade,
  version       integer not null,
  filter        text,
  action        text    not null,
  content_id    integer references content (id),
  approval      integer not null default 0,
  skip_repliers integer not null default 0,
  created_at    integer not null,
  primary key (rule_id, version)
) without rowid;

insert into rule_version (rule_id, version, filter, action, content_id, approval, created_at)
select id, 1, filter, action, content_id, approval, created_at from rule;

alter table rule add column version integer not null default 1;

-- 1 when it is not for leads that ever wrote.
alter table rule add column skip_repliers integer not null default 0;

-- Why it switched itself off.
alter table rule add column stop_reason text;

-- A rule that was deleted is never given again: events and requests name it.
alter table rule add column deleted_at integer;

-- How many rules led here, and the event that began it; none when no rule did.
alter table event add column depth integer not null default 0;
alter table event add column root_id integer;
alter table request add column depth integer not null default 0;
alter table request add column root_id integer;
alter table rule_instance add column version integer not null default 1;
alter table rule_instance add column depth integer not null default 0;
alter table rule_instance add column root_id integer;

-- What an enrichment is to find out.
alter table request add column enrichment_type text;

drop index rule_instance_due;
create index rule_instance_due on rule_instance (rule_id, version, due_at, id) where status = 'pending';
create index rule_instance_of_lead on rule_instance (lead_id) where status = 'pending';
create index rule_instance_chain on rule_instance (root_id, rule_id, lead_id) where root_id is not null;

drop index request_unplanned;
create index request_unplanned on request (kind, run_at)
where status = 'pending' and profile_id is null and awaits_approval = 0;
