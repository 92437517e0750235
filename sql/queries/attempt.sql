-- name: get
-- Tries so far, since when they are counted, and until when the next one is refused.
select failures, first_at, blocked_until from attempt where kind = ?1 and name = ?2;

-- name: put
-- A pause that was promised never gets shorter.
insert into attempt (kind, name, failures, first_at, blocked_until) values (?1, ?2, ?3, ?4, ?5)
on conflict (kind, name) do update
set failures = ?3, first_at = ?4,
    blocked_until = case when attempt.blocked_until > ?5 then attempt.blocked_until else ?5 end;

-- name: give-back
-- It was no failure after all, and the pause that it alone made ends.
update attempt
set failures = failures - 1, blocked_until = case when blocked_until = ?3 then 0 else blocked_until end
where kind = ?1 and name = ?2 and failures > 0;

-- name: forget
delete from attempt where kind = ?1 and name = ?2;

-- name: delete-old
delete from attempt where first_at < ?1 and blocked_until < ?1;
