-- name: insert
-- Only what is active and at home somewhere can move, to another node, and once at a time.
insert into relocation (id, subaccount_id, source_id, target_id, state, next_at, created_at)
select ?1, s.id, p.node_id, ?3, 'reserving', cast(?4 as bigint), cast(?4 as bigint)
from subaccount s join placement p on p.subaccount_id = s.id and p.state = 'placed'
where s.id = ?2 and s.status = 'active' and s.suspended_at is null and s.deleted_at is null and p.node_id <> ?3
  and not exists (select 1 from relocation m where m.subaccount_id = s.id and m.finished_at is null);

-- name: list
select id, source_id, target_id, state, reason, created_at, finished_at from relocation
where subaccount_id = ?1 order by created_at desc, id desc limit 100;

-- name: any-due
select 1 from relocation where next_at <= ?1 and lease_until <= ?1 limit 1;

-- name: claim
-- Leases what is to go on, so that two ticks never drive the same move.
update relocation set lease_token = ?1, lease_until = ?2, attempts = attempts + 1
where next_at <= ?3 and lease_until <= ?3 and id in (
  select m.id from relocation m where m.next_at <= ?3 and m.lease_until <= ?3 order by m.next_at, m.id limit 1
);

-- name: claimed
select m.id, m.subaccount_id, m.source_id, m.target_id, m.state, m.attempts, m.created_at,
  s.account_id, s.name, s.revision, s.suspended_at, s.deleted_at, s.base_url,
  source.node_url, source.status, target.node_url, target.status, m.digest
from relocation m join subaccount s on s.id = m.subaccount_id
  join node source on source.id = m.source_id join node target on target.id = m.target_id
where m.lease_token = ?1 order by m.id;

-- name: renew
-- Whoever drives it goes on.
update relocation set lease_until = ?3 where id = ?1 and lease_token = ?2;

-- name: step
-- One state is done, and the next begins; the lease goes on.
update relocation set state = ?4, attempts = 0, reason = null where id = ?1 and lease_token = ?2 and state = ?3;

-- name: compared
-- How far the copy was compared with the original.
update relocation set digest = ?3 where id = ?1 and lease_token = ?2;

-- name: pause
-- It goes on at a time, and says why it waits. A step that got on forgets its failed attempts.
update relocation set lease_token = null, lease_until = 0, next_at = ?4, reason = ?3,
  attempts = case when ?5 = 1 then 0 else attempts end
where id = ?1 and lease_token = ?2;

-- name: finish
update relocation set state = ?3, reason = ?4, finished_at = ?5, next_at = null, lease_token = null, lease_until = 0
where id = ?1 and lease_token = ?2 and finished_at is null;

-- name: bump
-- A new number: what nodes were told before is void.
update subaccount set revision = revision + 1 where id = ?1;

-- name: leave-source
-- The one half of the switch: from here on the source is only told to let go.
update placement set state = 'releasing', next_at = null where subaccount_id = ?1 and node_id = ?2 and state = 'placed';

-- name: enter-target
-- The other half, in the same transaction.
update placement set state = 'placed', applied = 0, next_at = null where subaccount_id = ?1 and node_id = ?2 and state = 'reserved';

-- name: applied
-- The target does what is wanted. When more was wanted meanwhile, it is told when the move is over.
update placement set applied = ?3, attempts = 0, unsure = 0,
  next_at = case when (select s.revision from subaccount s where s.id = placement.subaccount_id) > ?3 then cast(?4 as bigint) end
where subaccount_id = ?1 and node_id = ?2 and state = 'placed';

-- name: left
-- The source has let go: its slot is free.
delete from placement where subaccount_id = ?1 and node_id = ?2 and state = 'releasing';

-- name: leave-target
-- The target is lost before it is known to work, and nothing is asked of it any more.
delete from placement where subaccount_id = ?1 and node_id = ?2 and state = 'placed';

-- name: return-to-source
update placement set state = 'placed' where subaccount_id = ?1 and node_id = ?2 and state = 'releasing';

-- name: give-up-target
-- Nothing of the copy is needed: the target is told to let go.
update placement set state = 'releasing', next_at = ?3 where subaccount_id = ?1 and node_id = ?2 and state = 'reserved';
