-- name: get
select revision, state, account_id, moved_to from tenant_state where tenant_id = ?1;

-- name: put
-- What the master wants. An older wish changes nothing, and neither does one for a tenant that is moving: it comes again.
-- What was let go of comes back only by a newer wish.
insert into tenant_state (tenant_id, revision, state, changed_at) values (?1, ?2, ?3, ?4)
on conflict (tenant_id) do update set revision = excluded.revision, state = excluded.state, moved_to = null,
  changed_at = excluded.changed_at
where (tenant_state.revision < excluded.revision and tenant_state.state not in ('moving', 'frozen'))
  or (tenant_state.revision = excluded.revision and tenant_state.state in ('active', 'suspended', 'deleted'));

-- name: set
-- What a step of a move or of letting go makes of it, whatever it was.
insert into tenant_state (tenant_id, revision, state, account_id, moved_to, changed_at) values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict (tenant_id) do update set
  revision = case when tenant_state.revision > excluded.revision then tenant_state.revision else excluded.revision end,
  state = excluded.state, account_id = excluded.account_id, moved_to = excluded.moved_to, changed_at = excluded.changed_at;

-- name: rename
update tenant set name = ?2, account_id = ?3 where id = ?1;

-- name: wake
-- A tenant that rested works again: every stage looks.
update tenant_work set due_at = ?2, marked_at = case when marked_at < ?2 then ?2 else marked_at + 1 end where tenant_id = ?1;

-- name: leased
-- Whether a stage is at work in it.
select 1 from tenant_work where tenant_id = ?1 and lease_token is not null and lease_until > ?2 limit 1;

-- name: forget
-- Late calls come within minutes, not after a month; addresses of what moved away are kept.
delete from tenant_state where state = 'gone' and moved_to is null and changed_at < ?1;
