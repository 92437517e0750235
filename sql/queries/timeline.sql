-- name: roll-up
-- Counts the events after one cursor up to another, added to what was counted before.
insert into timeline (metric, hour, profile_id, rule_id, n)
select kind, at - at % 3600000, coalesce(profile_id, 0), coalesce(rule_id, 0), count(*)
from event where id > ?1 and id <= ?2
group by 1, 2, 3, 4
on conflict (metric, hour, profile_id, rule_id) do update set n = timeline.n + excluded.n;

-- name: points
-- Sums for steps of ?4 milliseconds, empty steps left out.
select hour - hour % ?4 as t, sum(n) from timeline
where metric = ?1 and hour >= ?2 and hour < ?3 group by t order by t;

-- name: total
select coalesce(sum(n), 0) from timeline where metric = ?1 and hour >= ?2 and hour < ?3;

-- name: by-rule
-- The sum of a metric for each rule.
select rule_id, sum(n) from timeline where metric = ?1 and rule_id <> 0 group by rule_id;
