-- name: unplanned
-- Due requests that have no profile yet, newest first.
select r.id from request r
where r.kind = 'outreach' and r.status = 'pending' and r.profile_id is null and r.awaits_approval = 0 and r.run_at <= ?1
order by r.run_at desc, r.id desc limit ?2;

-- name: abort-suppressed
update request set status = 'aborted', finished_at = ?1, updated_at = ?1,
  error = 'The address is suppressed: ' || (
    select s.reason from lead l join suppression s on s.value = l.email where l.id = request.lead_id) || '.'
where id in (
  select r.id from (
    select id, lead_id from request
    where kind = 'outreach' and status = 'pending' and profile_id is null and awaits_approval = 0 and run_at <= ?1
    order by run_at desc, id desc limit ?2) r
  join lead l on l.id = r.lead_id join suppression s on s.value = l.email
)
returning id, lead_id, profile_id, rule_id;

-- name: fail-without-address
update request set status = 'failed', finished_at = ?1, updated_at = ?1, error = 'The lead has no e-mail address.'
where id in (
  select r.id from (
    select id, lead_id from request
    where kind = 'outreach' and status = 'pending' and profile_id is null and awaits_approval = 0 and run_at <= ?1
    order by run_at desc, id desc limit ?2) r
  left join lead l on l.id = r.lead_id where l.email is null
)
returning id, lead_id, profile_id, rule_id;

-- name: hold-unplanned
-- Says why nothing happens; only rows that did not say so yet are written.
update request set wait_reason = ?1, updated_at = ?2
where kind = 'outreach' and status = 'pending' and profile_id is null and awaits_approval = 0 and run_at <= ?2 and wait_reason is distinct from ?1;

-- name: rules-that-wait
-- The rules whose requests wait for a profile, one look at the index for each; 0 is for those of no rule.
with recursive turn (rule) as (
  select min(coalesce(rule_id, 0)) from request
  where profile_id = ?1 and status = 'pending' and awaits_approval = 0
  union all
  select (
    select min(coalesce(rule_id, 0)) from request
    where profile_id = ?1 and status = 'pending' and awaits_approval = 0 and coalesce(rule_id, 0) > turn.rule)
  from turn where turn.rule is not null)
select rule from turn where rule is not null limit 1000;

-- name: release-held
-- The limits are others now: what recipients held up is looked at again.
update request set run_at = ?2, wait_until = null, wait_reason = null, updated_at = ?2
where profile_id = ?1 and status = 'pending' and awaits_approval = 0 and wait_until is not null;

-- name: begin
-- Recorded before the effect; only the holder of the current lease may, and not after its end, nor after the window's.
-- Saying it twice is the same as once, also after the window. What comes back says whether the profile makes pauses.
update request set begun_at = coalesce(begun_at, ?3), lease_until = ?4, updated_at = ?3
where id = ?1 and lease_token = ?2 and status = 'running' and lease_until > ?3
  and (begun_at is not null or begin_before is null or begin_before > ?3)
returning (select p.pause_ms from profile p where p.id = request.profile_id),
  (select count(*) from recipient_domain d where d.request_id = request.id);

-- name: renew
update request set lease_until = ?3 where id = ?1 and lease_token = ?2 and status = 'running' returning begun_at;

-- name: end
-- The outcome counts once: while running, or later when evidence settles an uncertain one.
update request set status = ?3, error = ?4, finished_at = ?5, begun_at = coalesce(begun_at, ?6), updated_at = ?5
where id = ?1 and lease_token = ?2 and (status = 'running' or (status = 'uncertain' and ?3 in ('performed', 'failed')));

-- name: give-back
-- It did not happen: pending again, later. The token stays, so that the same report is known when it comes again.
update request set status = 'pending', error = ?3, run_at = ?4, begun_at = null, finished_at = null, lease_until = null,
  attempts = attempts - ?6, updated_at = ?5
where id = ?1 and lease_token = ?2 and status in ('running', 'uncertain');

-- name: state
select status, lease_token, attempts, lead_id, profile_id, rule_id from request where id = ?1;

-- name: expire-unbegun
-- A lease that ends before the effect began goes back to pending.
update request set status = 'pending', lease_token = null, lease_until = null, updated_at = ?1
where status = 'running' and lease_until <= ?1 and begun_at is null;

-- name: expire-begun
-- A lease that ends after the effect began: nobody knows, and it is never tried again.
update request set status = 'uncertain', finished_at = ?1, updated_at = ?1,
  error = 'The worker began and was not heard of again; the mail may or may not have been sent. It will not be sent again.'
where id in (select id from request where status = 'running' and lease_until <= ?1 and begun_at is not null limit 500)
returning id, lead_id, profile_id, rule_id;

-- name: abort-of-lead
-- Somebody does not want mail: what has not begun is not sent.
update request set status = 'aborted', error = ?2, finished_at = ?3, updated_at = ?3, awaits_approval = 0
where lead_id = ?1 and kind = 'outreach' and (status = 'pending' or (status = 'running' and begun_at is null))
returning id, profile_id, rule_id;

-- name: next-lease-end
select min(lease_until) from request where status = 'running';

-- name: next-unplanned
select min(run_at) from request where kind = 'outreach' and status = 'pending' and profile_id is null and awaits_approval = 0;

-- name: next-planned
select min(run_at) from request where status = 'pending' and profile_id is not null and awaits_approval = 0;

-- name: next-planned-of
select min(run_at) from request where status = 'pending' and profile_id = ?1 and awaits_approval = 0;

-- name: counts
select status, count(*) from request group by status;

-- name: get
select r.id, r.kind, r.status, r.lead_id, r.rule_id, r.profile_id, r.content_id, r.attempts, r.error, r.wait_reason, r.run_at,
  r.begun_at, r.finished_at, r.created_at, r.wait_until, r.awaits_approval, p.wait_reason, p.wait_until
from request r left join profile p on p.id = r.profile_id where r.id = ?1;

-- name: cancel
-- A person takes back what has not begun.
update request set status = 'canceled', finished_at = ?2, updated_at = ?2, wait_reason = null, wait_until = null, awaits_approval = 0
where id = ?1 and status = 'pending'
returning id, lead_id, profile_id, rule_id, kind;

-- name: note-unbegun
-- What `cancel-unbegun` is about to end, for the log.
insert into event (at, kind, lead_id, rule_id, profile_id, request_id)
select cast(?1 as bigint), kind || '_canceled', lead_id, rule_id, profile_id, id from request
where status = 'pending' or (status = 'running' and begun_at is null);

-- name: cancel-unbegun
update request set status = 'canceled', error = ?2, finished_at = ?1, updated_at = ?1, wait_reason = null, wait_until = null,
  awaits_approval = 0, lease_token = null, lease_until = null
where status = 'pending' or (status = 'running' and begun_at is null);

-- name: counts-of-rule
select status, count(*) from request where rule_id = ?1 group by status;

-- name: held-unplanned
-- How many are due without a profile, and why the oldest of them waits.
select count(*), (
  select wait_reason from request
  where kind = 'outreach' and status = 'pending' and profile_id is null and awaits_approval = 0 and run_at <= ?1 order by run_at limit 1)
from request where kind = 'outreach' and status = 'pending' and profile_id is null and awaits_approval = 0 and run_at <= ?1;

-- name: retrying
-- What each profile will try again later: how much, when first, and what went wrong.
select w.profile_id, w.n, w.run_at, (
  select error from request r where r.profile_id = w.profile_id and r.status = 'pending' and r.run_at = w.run_at
    and r.error is not null order by r.id limit 1)
from (
  select profile_id, count(*) as n, min(run_at) as run_at from request
  where status = 'pending' and profile_id is not null and run_at > ?1 and error is not null group by profile_id
) w;

-- name: running
-- How much each profile has in hand.
select profile_id, count(*) from request where status = 'running' group by profile_id;

-- name: any-begun
-- Whether a worker has begun something that it is to report on.
select 1 from request where status = 'running' and begun_at is not null and lease_until > ?1 limit 1;

-- name: note-unbegun-of-rule
-- What `cancel-unbegun-of-rule` is about to end, for the log.
insert into event (at, kind, lead_id, rule_id, profile_id, request_id)
select cast(?1 as bigint), kind || '_canceled', lead_id, rule_id, profile_id, id from request
where rule_id = ?2 and (status = 'pending' or (status = 'running' and begun_at is null));

-- name: cancel-unbegun-of-rule
update request set status = 'canceled', error = ?3, finished_at = ?1, updated_at = ?1, wait_reason = null, wait_until = null,
  awaits_approval = 0
where rule_id = ?2 and (status = 'pending' or (status = 'running' and begun_at is null));

-- name: of-repliers
-- Requests under a lease whose rule is not for leads that ever wrote, and whose lead did; of a step of a sequence, since the
-- lead came in.
select q.id from request q join rule r on r.id = q.rule_id
where q.lease_token = ?1 and q.status = 'running' and q.profile_id = ?2 and r.skip_repliers = 1
  and exists (select 1 from event e where e.lead_id = q.lead_id and e.kind = 'replied'
    and (r.sequence_id is null or e.id > coalesce((
      select s.event_id from sequence_lead s where s.sequence_id = r.sequence_id and s.lead_id = q.lead_id), q.root_id, 0)));
