-- name: mark
-- Promises that a stage has something to do from `due_at` on. `marked_at` always grows, whatever the clocks say: whoever
-- read it before can tell that there is a newer promise.
insert into tenant_work (tenant_id, stage, due_at, marked_at) values (?1, ?2, ?3, ?4)
on conflict (tenant_id, stage) do update set
  due_at = case when excluded.due_at < tenant_work.due_at then excluded.due_at else tenant_work.due_at end,
  marked_at = case when excluded.marked_at > tenant_work.marked_at then excluded.marked_at else tenant_work.marked_at + 1 end;

-- name: lease
-- The tenants whose work for this stage is due, longest waiting first. Those that rest, or move, keep their row.
update tenant_work set lease_token = ?2, lease_until = ?3
where stage = ?1 and tenant_id in (
  select w.tenant_id from tenant_work w
  where w.stage = ?1 and w.due_at <= ?4 and w.lease_until <= ?4 and not exists (
    select 1 from tenant_state t where t.tenant_id = w.tenant_id and t.state <> 'active')
  order by w.due_at limit ?5
)
returning tenant_id, marked_at;

-- name: due
-- The same without a lease, for work that leases its own rows (claims of workers).
select w.tenant_id, w.marked_at from tenant_work w
where w.stage = ?1 and w.due_at <= ?2 and not exists (
  select 1 from tenant_state t where t.tenant_id = w.tenant_id and t.state <> 'active')
order by w.due_at limit ?3;

-- name: reschedule
-- The stage says when it wants to come back. A promise made meanwhile (`marked_at` moved on) wins.
update tenant_work set lease_token = null, lease_until = 0,
  due_at = case when marked_at > ?4 and due_at < ?5 then due_at else ?5 end
where tenant_id = ?1 and stage = ?2 and lease_token = ?3;

-- name: forget
-- Nothing to do, and nobody has promised anything since.
delete from tenant_work where tenant_id = ?1 and stage = ?2 and lease_token = ?3 and marked_at <= ?4;

-- name: postpone-unleased
-- For work without a stage lease: comes back at `due_at` unless somebody promised earlier work meanwhile.
update tenant_work set due_at = ?4 where tenant_id = ?1 and stage = ?2 and marked_at <= ?3;
