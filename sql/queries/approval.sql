-- name: count
-- How much a person is to approve, of a rule or all (0), of a profile or all (0).
select count(*), max(id) from request
where awaits_approval = 1 and (?1 = 0 or rule_id = ?1) and (?2 = 0 or profile_id = ?2);

-- name: approve
update request set awaits_approval = 0, approved_at = ?2, updated_at = ?2 where id = ?1 and awaits_approval = 1;

-- name: reject
update request set status = 'canceled', error = 'A person rejected it.', finished_at = ?2, updated_at = ?2, wait_reason = null,
  wait_until = null, awaits_approval = 0
where id = ?1 and awaits_approval = 1
returning id, lead_id, profile_id, rule_id;

-- name: approve-all
-- The oldest of them, up to a request.
update request set awaits_approval = 0, approved_at = ?1, updated_at = ?1
where id in (
  select id from request
  where awaits_approval = 1 and id <= ?2 and (?3 = 0 or rule_id = ?3) and (?4 = 0 or profile_id = ?4) order by id limit ?5);

-- name: note-rejected
-- What `reject-all` is about to end, for the log.
insert into event (at, kind, lead_id, rule_id, profile_id, request_id)
select cast(?1 as bigint), 'outreach_canceled', lead_id, rule_id, profile_id, id from request
where awaits_approval = 1 and id <= ?2 and (?3 = 0 or rule_id = ?3) and (?4 = 0 or profile_id = ?4) order by id limit ?5;

-- name: reject-all
update request set status = 'canceled', error = 'A person rejected it.', finished_at = ?1, updated_at = ?1, wait_reason = null,
  wait_until = null, awaits_approval = 0
where id in (
  select id from request
  where awaits_approval = 1 and id <= ?2 and (?3 = 0 or rule_id = ?3) and (?4 = 0 or profile_id = ?4) order by id limit ?5);

-- name: ask-for-profile
-- The profile wants its requests approved from now on.
update request set awaits_approval = 1, updated_at = ?2
where profile_id = ?1 and status = 'pending' and awaits_approval = 0 and approved_at is null;

-- name: release-profile
-- It does not any more; what a rule wants approved still is to be.
update request set awaits_approval = 0, updated_at = ?2
where profile_id = ?1 and awaits_approval = 1
  and not exists (select 1 from rule r where r.id = request.rule_id and r.approval = 1);
