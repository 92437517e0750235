-- name: mark
-- Promises that a stage has something to do from `due_at` on. `marked_at` always grows, whatever the clocks say: whoever
-- read it before can tell that there is a newer promise.
insert into tenant_work (tenant_id, stage, due_at, marked_at) values (?1, ?2, ?3, ?4)
on conflict (tenant_id, stage) do update set due_at = min(due_at, excluded.due_at), marked_at = max(marked_at + 1, excluded.marked_at);

-- name: lease
-- The tenants whose work for this stage is due, longest waiting first.
update tenant_work set lease_token = ?2, lease_until = ?3
where stage = ?1 and tenant_id in (
  select tenant_id from tenant_work where stage = ?1 and due_at <= ?4 and lease_until <= ?4 order by due_at limit ?5
)
returning tenant_id, marked_at;

-- name: due
-- The same without a lease, for work that leases its own rows (claims of workers).
select tenant_id, marked_at from tenant_work where stage = ?1 and due_at <= ?2 order by due_at limit ?3;

-- name: reschedule
-- The stage says when it wants to come back. A promise made meanwhile (`marked_at` moved on) wins.
update tenant_work set lease_token = null, lease_until = 0,
  due_at = case when marked_at > ?4 then min(due_at, ?5) else ?5 end
where tenant_id = ?1 and stage = ?2 and lease_token = ?3;

-- name: forget
-- Nothing to do, and nobody has promised anything since.
delete from tenant_work where tenant_id = ?1 and stage = ?2 and lease_token = ?3 and marked_at <= ?4;

-- name: postpone-unleased
-- For work without a stage lease: comes back at `due_at` unless somebody promised earlier work meanwhile.
update tenant_work set due_at = ?4 where tenant_id = ?1 and stage = ?2 and marked_at <= ?3;

-- name: next-due
select min(due_at) from tenant_work where stage = ?1;
