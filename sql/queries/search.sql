-- name: cursor
select lead_id from search_state where id = 1;

-- name: advance
-- Call it inside the transaction that fills the index up to there.
insert into search_state (id, lead_id) values (1, ?1) on conflict (id) do update set lead_id = excluded.lead_id;

-- name: behind
select 1 where exists (select 1 from lead where id > ?1) or exists (select 1 from search_stale);

-- name: stale
select lead_id from search_stale order by lead_id limit ?1;

-- name: fresh
-- Leads that the index does not know as they are, the newest first.
select id from (select id from lead where id > ?1 order by id desc limit ?2) a
union
select lead_id from (select lead_id from search_stale order by lead_id desc limit ?2) b
order by 1 desc limit ?2;

-- name: forget-stale
delete from search_stale where lead_id in (select value from json_each(?1));

-- name: forget-words
delete from search_word where rowid in (select value from json_each(?1));

-- name: forget-order
delete from search_order where lead_id in (select value from json_each(?1));
