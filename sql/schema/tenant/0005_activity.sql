-- What happened to whom, but for what happens to every lead: filters ask who was mailed, bounced or replied.
create index event_activity on event (kind, lead_id, at)
where kind not in ('lead_created', 'tag_added') and lead_id is not null;
