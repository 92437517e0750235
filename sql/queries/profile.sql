-- name: insert
insert into profile (name, type, settings, quotas, worker, created_at, updated_at) values (?1, ?2, ?3, ?4, ?6, ?5, ?5) returning id;

-- name: list
select id, name, type, active, settings, quotas, next_at, created_at, worker, last_rule_id, wait_reason, wait_until from profile order by id limit 1000;

-- name: get
select id, name, type, active, settings, quotas, next_at, created_at, worker, last_rule_id, wait_reason, wait_until from profile where id = ?1;

-- name: set-active
update profile set active = ?2, updated_at = ?3 where id = ?1;

-- name: set-settings
update profile set settings = ?2, updated_at = ?3 where id = ?1;

-- name: pause-all
update profile set active = 0, updated_at = ?1 where active = 1;

-- name: set-worker
update profile set worker = ?2, updated_at = ?3 where id = ?1;

-- name: set-quotas
update profile set quotas = ?2, updated_at = ?3 where id = ?1;

-- name: set-pace
-- It took something: when it may take more, and whose turn it was.
update profile set next_at = ?2, pause_ms = ?3, last_rule_id = ?4 where id = ?1;

-- name: began
-- The pause is counted from here.
update profile set next_at = ?2 + pause_ms where id = (select profile_id from request where id = ?1);

-- name: move-writing
-- It began, or may begin later than was thought.
update recipient_domain set last_at = ?2 where request_id = ?1;

-- name: forget-writing
-- Nothing was written to the domain.
delete from recipient_domain where request_id = ?1;

-- name: forget-unbegun-writing
-- The same of leases that end before the effect began.
delete from recipient_domain
where request_id in (select id from request where status = 'running' and lease_until <= ?1 and begun_at is null);

-- name: set-turn
update profile set last_rule_id = ?2 where id = ?1 and last_rule_id <> ?2;

-- name: set-wait
update profile set wait_reason = cast(?2 as text), wait_until = cast(?3 as bigint)
where id = ?1 and (wait_reason is distinct from cast(?2 as text) or wait_until is distinct from cast(?3 as bigint));

-- name: usage
-- What a profile began since a time, has in hand without and with a begin, and saw end badly since then.
select p.id, p.next_at,
  (select count(*) from request r where r.profile_id = p.id and r.begun_at > ?1),
  (select count(*) from request r where r.profile_id = p.id and r.status = 'running' and r.begun_at is null),
  (select count(*) from request r where r.profile_id = p.id and r.status = 'running'),
  (select count(*) from request r where r.profile_id = p.id and r.finished_at > ?1
    and r.status in ('failed', 'aborted', 'uncertain') and r.attempts > 0)
from profile p where p.id = ?2;

-- name: usages
-- The same of all profiles, and when their next requests are due.
select p.id, p.next_at,
  (select count(*) from request r where r.profile_id = p.id and r.begun_at > ?1),
  (select count(*) from request r where r.profile_id = p.id and r.status = 'running' and r.begun_at is null),
  (select count(*) from request r where r.profile_id = p.id and r.status = 'running'),
  (select count(*) from request r where r.profile_id = p.id and r.finished_at > ?1
    and r.status in ('failed', 'aborted', 'uncertain') and r.attempts > 0),
  (select min(r.run_at) from request r where r.profile_id = p.id and r.status = 'pending' and r.awaits_approval = 0)
from profile p;

-- name: nth-begun
select begun_at from request where profile_id = ?1 and begun_at > ?2 order by begun_at limit 1 offset ?3;

-- name: nth-aborted
select finished_at from request
where profile_id = ?1 and finished_at > ?2 and status in ('failed', 'aborted', 'uncertain') and attempts > 0
order by finished_at limit 1 offset ?3;

-- name: due
-- When each profile's next request is due.
select p.id, (select min(r.run_at) from request r where r.profile_id = p.id and r.status = 'pending' and r.awaits_approval = 0)
from profile p;

-- name: pending
-- How much is already waiting for each profile.
select profile_id, count(*) from request where status = 'pending' and profile_id is not null and awaits_approval = 0 group by profile_id;

-- name: forget-domains
delete from recipient_domain where last_at < ?1;
