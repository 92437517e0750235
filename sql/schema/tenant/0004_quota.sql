-- Why a profile may do nothing now, and until when; its requests that wait for it wait as long.
alter table profile add column wait_reason text;
alter table profile add column wait_until integer;

-- The pause after what it took last, and the rule that this came from.
alter table profile add column pause_ms integer not null default 0;
alter table profile add column last_rule_id integer not null default 0;

-- When a request that its recipient holds up may go on: `run_at` is the same then.
alter table request add column wait_until integer;

-- A lease may begin before this time only: the window closes.
alter table request add column begin_before integer;

-- 1 while a person is to approve it.
alter table request add column awaits_approval integer not null default 0;
alter table request add column approved_at integer;

-- 1 when what the rule makes is to be approved by a person.
alter table rule add column approval integer not null default 0;

drop index request_unplanned;
drop index request_due;
create index request_unplanned on request (run_at) where status = 'pending' and profile_id is null and awaits_approval = 0;
create index request_due on request (profile_id, run_at)
where status = 'pending' and profile_id is not null and awaits_approval = 0;

-- What waits for a profile, rule by rule: 0 stands for no rule.
create index request_turn on request (profile_id, coalesce(rule_id, 0), id, run_at)
where status = 'pending' and profile_id is not null and awaits_approval = 0;

create index request_awaiting on request (id) where awaits_approval = 1;
create index request_in_hand on request (profile_id) where status = 'running';
create index request_ended_badly on request (profile_id, finished_at) where status in ('failed', 'aborted', 'uncertain');

-- When a profile last wrote to a domain, and by which request. Until that begins, `last_at` is when it must have.
create table recipient_domain (
  profile_id integer not null references profile (id) on delete cascade,
  domain     text    not null,
  request_id integer not null,
  last_at    integer not null,
  primary key (profile_id, domain)
) without rowid;

create index recipient_domain_request on recipient_domain (request_id);
create index recipient_domain_last on recipient_domain (last_at);
