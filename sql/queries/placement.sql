-- name: reserve
-- The oldest sub-account that waits gets a slot of the node with the most free ones: found and taken in one statement.
-- A node counts as full by what it told or by what we gave it, whichever is more. ?2: since when it must have reported;
-- ?3: whether there is a slave beside the master.
insert into placement (subaccount_id, node_id, state, next_at, created_at)
select waiting.id, roomy.id, 'reserved', cast(?1 as bigint), cast(?1 as bigint)
from (
  select s.id from subaccount s
  where s.status in ('requested', 'allocating') and s.deleted_at is null and s.next_attempt_at <= ?1
    and not exists (select 1 from placement p where p.subaccount_id = s.id)
  order by s.created_at, s.id limit 1
) waiting
cross join (
  select free.id from (
    select n.id,
      n.slots - case when n.used > coalesce(held.n, 0) then n.used else coalesce(held.n, 0) end as free
    from node n
    left join (select p.node_id, count(*) as n from placement p group by p.node_id) held on held.node_id = n.id
    where n.kind = 'slave' and n.status = 'active' and n.seen_at > ?2 and n.rest_until <= ?1 and (n.id <> 'local' or ?3 = 1)
  ) free
  where free.free > 0
  order by free.free desc, free.id limit 1
) roomy
where 1 = 1
on conflict (subaccount_id, node_id) do nothing
returning subaccount_id, node_id;

-- name: reserve-at
-- The same for one sub-account that moves to one node.
insert into placement (subaccount_id, node_id, state, created_at)
select s.id, n.id, 'reserved', cast(?3 as bigint)
from subaccount s cross join node n
where s.id = ?1 and n.id = ?2 and n.kind = 'slave' and n.status = 'active' and n.seen_at > ?4 and (n.id <> 'local' or ?5 = 1)
  and n.slots > n.used and n.slots > (select count(*) from placement p where p.node_id = n.id)
on conflict (subaccount_id, node_id) do nothing;

-- name: roomiest
-- The node with the most free slots, but this one.
select n.id from node n
where n.kind = 'slave' and n.status = 'active' and n.seen_at > ?2 and n.id <> ?1 and (n.id <> 'local' or ?3 = 1)
  and n.slots > n.used and n.slots > (select count(*) from placement p where p.node_id = n.id)
order by n.slots - (select count(*) from placement p where p.node_id = n.id) desc, n.id limit 1;

-- name: waiting
-- Sub-accounts that wait for a slot.
select count(*) from subaccount s
where s.status in ('requested', 'allocating') and s.deleted_at is null and s.next_attempt_at <= ?1
  and not exists (select 1 from placement p where p.subaccount_id = s.id);

-- name: explain-waiting
-- Says why they wait; only rows that do not say so yet are written.
update subaccount set reason = ?1, status = 'requested', updated_at = ?2
where status in ('requested', 'allocating') and deleted_at is null and next_attempt_at <= ?2 and (reason is null or reason <> ?1)
  and not exists (select 1 from placement p where p.subaccount_id = subaccount.id);

-- name: any-due
-- Most ticks find nothing, and learn it without the write lock.
select 1 from placement p where p.next_at <= ?1 and p.lease_until <= ?1
  and not exists (select 1 from relocation m where m.subaccount_id = p.subaccount_id and m.finished_at is null) limit 1;

-- name: claim-due
-- Leases what is to be done, so that two ticks never make the same call at once. From here on nobody knows whether the
-- call arrived, until its answer is kept. What moves is left to whoever drives the move.
update placement set lease_token = ?1, lease_until = ?2, attempts = attempts + 1, unsure = unsure + 1
where next_at <= ?3 and lease_until <= ?3 and (subaccount_id, node_id) in (
  select p.subaccount_id, p.node_id from placement p
  where p.next_at <= ?3 and p.lease_until <= ?3
    and not exists (select 1 from relocation m where m.subaccount_id = p.subaccount_id and m.finished_at is null)
  order by p.next_at, p.subaccount_id limit ?4
);

-- name: claimed
select p.subaccount_id, p.node_id, p.state, p.attempts, p.unsure, s.account_id, s.name, s.revision,
  s.suspended_at, s.deleted_at, n.node_url, n.status
from placement p join subaccount s on s.id = p.subaccount_id join node n on n.id = p.node_id
where p.lease_token = ?1 order by p.subaccount_id;

-- name: applied
-- The node did what was asked. When more was asked meanwhile, it goes on at once.
update placement set state = 'placed', applied = ?4, attempts = 0, unsure = 0, lease_token = null, lease_until = 0,
  next_at = case when (select s.revision from subaccount s where s.id = placement.subaccount_id) > ?4 then cast(?5 as bigint) end
where subaccount_id = ?1 and node_id = ?2 and lease_token = ?3 and state in ('reserved', 'placed');

-- name: later
-- Nobody knows whether the call arrived: the same again, later.
update placement set lease_token = null, lease_until = 0, next_at = ?4
where subaccount_id = ?1 and node_id = ?2 and lease_token = ?3;

-- name: not-sent
-- The call has certainly not arrived: the same again, later.
update placement set lease_token = null, lease_until = 0, unsure = unsure - 1, next_at = ?4
where subaccount_id = ?1 and node_id = ?2 and lease_token = ?3;

-- name: leave
-- The node was never used, or has let go: the slot is free again.
delete from placement where subaccount_id = ?1 and node_id = ?2 and lease_token = ?3 and state <> 'placed';

-- name: release
-- Somebody has to tell the node to let go first.
update placement set state = 'releasing', next_at = ?4, lease_token = null, lease_until = 0
where subaccount_id = ?1 and node_id = ?2 and lease_token = ?3;

-- name: nudge
-- Something changed: the node is told at the next tick.
update placement set next_at = ?2, attempts = 0 where subaccount_id = ?1 and state in ('reserved', 'placed');

-- name: purge
-- Those whose time to be brought back has passed leave their nodes, unless they are moving.
update placement set state = 'releasing', next_at = ?1
where state <> 'releasing'
  and subaccount_id in (select id from subaccount where deleted_at is not null and purge_at <= ?1)
  and not exists (select 1 from relocation m where m.subaccount_id = placement.subaccount_id and m.finished_at is null);

-- name: of-lost-node
-- Those that live on a node that is gone for good: their people are told.
update placement set next_at = ?2 where node_id = ?1 and state = 'placed';

-- name: lost
-- Nothing can be done about it: nobody is asked.
update placement set lease_token = null, lease_until = 0, unsure = 0, next_at = null
where subaccount_id = ?1 and node_id = ?2 and lease_token = ?3;

-- name: drop-reserved
-- The operator says that a node is gone: nothing is there that could be doubled.
delete from placement where node_id = ?1 and state = 'reserved';

-- name: of-subaccount
select p.node_id, p.state, n.name, n.kind from placement p join node n on n.id = p.node_id
where p.subaccount_id = ?1 order by case when p.state = 'placed' then 0 else 1 end, p.node_id;

-- name: of-node
select p.subaccount_id, p.state from placement p where p.node_id = ?1 order by p.subaccount_id limit 10000;
