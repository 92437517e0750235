-- name: get
select revision, state, account_id, moved_to, changed_at from tenant_state where tenant_id = ?1;

-- name: put
-- What the master wants. An older wish changes nothing, and neither does one for a tenant that is being restored: it comes
-- again. A newer one ends a move: the master makes none while it drives one. What was let go of comes back only by a newer wish.
insert into tenant_state (tenant_id, revision, state, changed_at) values (?1, ?2, ?3, ?4)
on conflict (tenant_id) do update set revision = excluded.revision, state = excluded.state, moved_to = null,
  changed_at = excluded.changed_at
where (tenant_state.revision < excluded.revision and tenant_state.state <> 'restoring')
  or (tenant_state.revision = excluded.revision and tenant_state.state in ('active', 'suspended', 'deleted'));

-- name: set
-- What a step of a move or of letting go makes of it, whatever it was.
insert into tenant_state (tenant_id, revision, state, account_id, moved_to, changed_at) values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict (tenant_id) do update set
  revision = case when tenant_state.revision > excluded.revision then tenant_state.revision else excluded.revision end,
  state = excluded.state, account_id = excluded.account_id, moved_to = excluded.moved_to, changed_at = excluded.changed_at;

-- name: rename
update tenant set name = ?2, account_id = ?3 where id = ?1;

-- name: rest
-- A tenant that may not work is no work for the stages: none looks at it every second.
update tenant_work set due_at = 9000000000000000 where tenant_id = ?1;

-- name: wake
-- A tenant that rested works again: every stage looks.
update tenant_work set due_at = ?2, marked_at = case when marked_at < ?2 then ?2 else marked_at + 1 end where tenant_id = ?1;

-- name: leased
-- Whether a stage is at work in it.
select 1 from tenant_work where tenant_id = ?1 and lease_token is not null and lease_until > ?2 limit 1;

-- name: forget
-- Late calls come within minutes, not after a month; addresses of what moved away are kept.
delete from tenant_state where state = 'gone' and moved_to is null and changed_at < ?1;

-- name: restore
-- An archive is read into it: nobody else may do anything meanwhile.
insert into tenant_state (tenant_id, revision, state, changed_at) values (?1, 0, 'restoring', ?2)
on conflict (tenant_id) do update set state = 'restoring', changed_at = excluded.changed_at where tenant_state.state = 'active';

-- name: keep-restoring
-- Whoever reads the archive is alive.
update tenant_state set changed_at = ?2 where tenant_id = ?1 and state = 'restoring';

-- name: restored
-- The archive was read, or nothing of it was kept.
update tenant_state set state = 'active', changed_at = ?2 where tenant_id = ?1 and state = 'restoring';

-- name: heal
-- Whoever read the archive has died: nothing of it was kept.
update tenant_state set state = 'active', changed_at = ?3 where tenant_id = ?1 and state = 'restoring' and changed_at < ?2;
