-- Requests of a rule by status: what is on the way in a sequence, and what is canceled with a rule.
create index request_of_rule on request (rule_id, status);

-- The mails of each text of a step by when they left: what a comparison counts.
drop index request_of_variant;
create index request_of_variant on request (rule_id, variant, finished_at)
where variant is not null and status = 'performed';

-- Nobody is on the way in it any more, and nobody comes in: it is never switched on again.
alter table rule add column retired integer not null default 0;

-- When the texts of a step were last compared.
alter table rule add column compared_at integer not null default 0;

-- The event that let the lead in.
alter table sequence_lead add column event_id integer;
