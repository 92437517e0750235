-- name: insert
insert into node (id, kind, name, slave_id, unassigned, status, join_hash, join_until, created_at)
values (?1, ?2, ?3, ?4, ?5, 'joining', ?6, ?7, ?8);

-- name: get
select n.id, n.kind, n.name, n.slave_id, n.unassigned, n.status, n.base_url, n.node_url, n.version, n.slots, n.used,
  n.report, n.seen_at, n.created_at, (select count(*) from placement p where p.node_id = n.id), n.join_until
from node n where n.id = ?1;

-- name: list
-- The node beside the master is shown only where there is one.
select n.id, n.kind, n.name, n.slave_id, n.unassigned, n.status, n.base_url, n.node_url, n.version, n.slots, n.used,
  n.report, n.seen_at, n.created_at, (select count(*) from placement p where p.node_id = n.id), n.join_until
from node n
where n.id <> 'local' or ?1 = 1 or exists (select 1 from placement p where p.node_id = 'local')
order by n.kind, n.created_at, n.id limit 1000;

-- name: count
select count(*) from node;

-- name: by-credential
-- Who shows this credential; the one before the last rotation is good for some minutes more.
select id, kind, slave_id, unassigned, status from node
where (credential_hash = ?1 or (previous_hash = ?1 and previous_until > ?2)) and status in ('active', 'draining');

-- name: offer
-- A new token to join with; the credential in use stays good until somebody joins with it.
update node set join_hash = ?2, join_until = ?3 where id = ?1 and status <> 'revoked' and id <> 'local';

-- name: join
-- Takes a token once, by the kind of node that it was given for (older ones do not say theirs). What was the credential
-- stays good for a while.
update node set previous_hash = credential_hash, previous_until = ?4, credential_hash = ?3, join_hash = null,
  version = ?5, status = case when status = 'joining' then 'active' else status end
where join_hash = ?1 and join_until > ?2 and status <> 'revoked' and (?6 = '' or kind = ?6)
returning id, kind, name, slave_id;

-- name: set-status
update node set status = ?2 where id = ?1 and status <> 'revoked' and status <> 'joining';

-- name: set-name
update node set name = ?2 where id = ?1;

-- name: revoke
-- From now on nothing that it shows is good.
update node set status = 'revoked', join_hash = null, credential_hash = null, previous_hash = null
where id = ?1 and id <> 'local' and status <> 'revoked';

-- name: report
update node set version = ?2, slots = ?3, used = ?4, report = ?5, base_url = ?6, node_url = ?7, seen_at = ?8
where id = ?1;

-- name: seen
-- What a call of ours told of it by the way.
update node set slots = ?2, used = ?3, seen_at = case when seen_at < ?4 then ?4 else seen_at end where id = ?1;

-- name: full
-- It says that all of its slots are taken, whatever we thought; its next report puts it right.
update node set used = slots where id = ?1;

-- name: rest
-- It cannot be asked, or refuses, just now: others first.
update node set rest_until = ?2 where id = ?1;

-- name: capacity
-- How many slots there are in all, of how many nodes that may take sub-accounts, and how many more are passed over.
select coalesce(sum(case when rest_until <= ?3 then slots else 0 end), 0),
  coalesce(sum(case when rest_until <= ?3 then 1 else 0 end), 0),
  coalesce(sum(case when rest_until > ?3 then 1 else 0 end), 0)
from node
where kind = 'slave' and status = 'active' and seen_at > ?1 and (id <> 'local' or ?2 = 1);

-- name: silent
-- Nodes that should be there and have not reported.
select count(*) from node
where kind = 'slave' and status = 'active' and seen_at <= ?1 and (id <> 'local' or ?2 = 1);

-- name: rebase
-- A slave is reached at another address now.
update subaccount set base_url = ?2 || '/s/' || id
where id in (select subaccount_id from placement where node_id = ?1 and state = 'placed') and base_url is not null;

-- name: operator
-- Whether an account runs the installation: the first one does, and those with the flag.
select 1 from account a
where a.id = ?1 and (a.operator = 1 or not exists (
  select 1 from account b where b.created_at < a.created_at or (b.created_at = a.created_at and b.id < a.id)));
