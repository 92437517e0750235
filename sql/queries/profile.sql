-- name: insert
insert into profile (name, type, settings, quotas, worker, created_at, updated_at) values (?1, ?2, ?3, ?4, ?6, ?5, ?5) returning id;

-- name: list
select id, name, type, active, settings, quotas, next_at, created_at, worker from profile order by id limit 1000;

-- name: get
select id, name, type, active, settings, quotas, next_at, created_at, worker from profile where id = ?1;

-- name: set-active
update profile set active = ?2, updated_at = ?3 where id = ?1;

-- name: set-settings
update profile set settings = ?2, updated_at = ?3 where id = ?1;

-- name: pause-all
update profile set active = 0, updated_at = ?1 where active = 1;

-- name: set-worker
update profile set worker = ?2, updated_at = ?3 where id = ?1;

-- name: set-next-at
update profile set next_at = ?2 where id = ?1;

-- name: usage
-- What a profile began since a time, and when the oldest of it began.
select count(*), min(begun_at) from request where profile_id = ?1 and begun_at > ?2;

-- name: running
select count(*) from request where profile_id = ?1 and status = 'running' and begun_at is null;

-- name: pending
-- How much is already waiting for each profile.
select profile_id, count(*) from request where status = 'pending' and profile_id is not null group by profile_id;
