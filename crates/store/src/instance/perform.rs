//! Does what a version of a rule does, for the leads whose time has come.

use domain::rule::{Action, STEP_SKIPPED};
use domain::sequence::Condition;
use domain::spin::mix;

use crate::params;
use crate::port::{Db, Result, Value, one};
use crate::queries::rule as sql;
use crate::rule::{self, StepWork, Version};
use crate::{sequence, tag};

/// The instances that are dealt with: rule `?1`, version `?2`, up to a time `?3` and, of those, an id `?4`. They stay the
/// same through one transaction.
const THESE: &str = "i.rule_id = ?1 and i.version = ?2 and i.status = 'pending' \
                     and (i.due_at < ?3 or (i.due_at = ?3 and i.id <= ?4))";

/// The chain that goes on from an instance, as columns of an event or a request.
const CHAIN: &str = "i.depth + 1, coalesce(i.root_id, i.event_id)";

/// Of events `e`: after the one that let the lead into a sequence.
fn since(sequence_id: i64) -> String {
    format!(
        " and e.id > coalesce((select s.event_id from sequence_lead s \
         where s.sequence_id = {sequence_id} and s.lead_id = i.lead_id), i.root_id, i.event_id)"
    )
}

/// The number of the text that a lead gets, by the lead and the step alone: two rounds of xor and multiplication, below
/// 2^63 throughout. Steps share leads out independently of each other.
fn share(rule_id: i64, variants: usize) -> String {
    const HALF: u64 = 0x7fff_ffff;
    let seed = mix(rule_id.unsigned_abs());
    let round = |x: &str, seed: u64, factor: u32| {
        format!("((({x} + {seed} - 2 * ({x} & {seed})) * {factor} / 65536) % 2147483648)")
    };
    let first = round("(i.lead_id % 2147483648)", seed & HALF, 2_654_435_761);
    let second = round(&first, (seed >> 32) & HALF, 2_246_822_519);
    format!("(({second} / 256) % {variants})")
}

/// Whether what a condition speaks of is so, with the parameters `?6` and on. Of opens, clicks and the like those count that
/// are about the sequence's own mails, or about none.
fn holds(only_if: &Condition, sequence_id: i64) -> (String, Vec<Value>) {
    match (&only_if.happened, &only_if.tag) {
        (Some(what), _) => {
            let text = format!(
                "exists (select 1 from event e where e.lead_id = i.lead_id and e.kind = ?6{} \
                 and (e.rule_id is null or e.rule_id in (select r.id from rule r where r.sequence_id = ?7)))",
                since(sequence_id)
            );
            (text, vec![what.event().into(), sequence_id.into()])
        }
        (None, tag) => {
            let text = "exists (select 1 from lead_tag h join tag t on t.id = h.tag_id where h.lead_id = i.lead_id and t.folded = ?6)";
            let folded = tag.as_deref().unwrap_or_default().trim().to_lowercase();
            (text.to_owned(), vec![folded.into()])
        }
    }
}

struct Batch<'a> {
    db: &'a dyn Db,
    now: i64,
    these: [Value; 4],
}

/// Serves at most `limit` due instances of a version of a rule, oldest first, and says whether there were any. Call it
/// inside a transaction.
pub fn perform(db: &dyn Db, (rule_id, version): (i64, i64), now: i64, limit: i64) -> Result<bool> {
    let Some(bound) = one(db, sql::BOUND, params![rule_id, version, now, limit])? else {
        return Ok(false);
    };
    let batch = Batch {
        db,
        now,
        these: [
            rule_id.into(),
            version.into(),
            bound.int(0).into(),
            bound.int(1).into(),
        ],
    };
    let Some(version) = rule::version(db, rule_id, version)? else {
        batch.abort("true", vec![], "What the rule does cannot be read.")?;
        return Ok(true);
    };
    batch.give_up(&version)?;
    if let Some(step) = &version.step {
        batch.skip(step)?;
    }
    match &version.action {
        Action::NewOutreach { .. } => batch.outreach(&version)?,
        Action::AddTag { tag } => batch.add_tag(tag)?,
        Action::RemoveTag { tag } => batch.remove_tag(tag)?,
        Action::NewEnrichment { enrichment_type } => batch.enrich(enrichment_type)?,
        Action::StopOutreach {} => batch.stop()?,
    }
    batch.end()?;
    Ok(true)
}

impl Batch<'_> {
    fn run(&self, text: &str, more: Vec<Value>) -> Result<u64> {
        let params: Vec<Value> = self.these.iter().cloned().chain(more).collect();
        self.db.execute(text, &params)
    }

    /// Gives up the instances for which something holds; its parameters are `?6` and on.
    fn abort(&self, condition: &str, params: Vec<Value>, reason: &str) -> Result<u64> {
        let text = format!(
            "update rule_instance as i set status = 'aborted', reason = ?5 where {THESE} and {condition}"
        );
        let mut more: Vec<Value> = vec![reason.into()];
        more.extend(params);
        self.run(&text, more)
    }

    /// A lead may have gone, answered, or changed since.
    fn give_up(&self, version: &Version) -> Result<()> {
        let gone = "not exists (select 1 from lead l where l.id = i.lead_id)";
        self.abort(gone, vec![], "The lead is gone.")?;
        let since = match &version.step {
            // Who leaves does not come back to the next step.
            Some(step) => {
                let suppressed = "exists (select 1 from lead l join suppression s on s.value = l.email where l.id = i.lead_id)";
                self.abort(suppressed, vec![], "The lead unsubscribed.")?;
                since(step.sequence_id)
            }
            None => String::new(),
        };
        if version.skip_repliers {
            let replied = format!(
                "exists (select 1 from event e where e.lead_id = i.lead_id and e.kind = 'replied'{since})"
            );
            self.abort(&replied, vec![], "The lead replied.")?;
        }
        if let Some(filter) = &version.filter {
            let filter = crate::filter::compile(&filter.at(self.now), 6, self.db.engine());
            let fits = format!(
                "not exists (select 1 from lead l where l.id = i.lead_id and {})",
                filter.sql
            );
            self.abort(&fits, filter.params, "The filter does not fit any more.")?;
        }
        Ok(())
    }

    /// Lets leads for whom a step is not go on with the next one.
    fn skip(&self, step: &StepWork) -> Result<()> {
        let Some(only_if) = &step.only_if else {
            return Ok(());
        };
        let (holds, params) = holds(only_if, step.sequence_id);
        let fails = match only_if.not {
            true => holds,
            false => format!("not {holds}"),
        };
        let note = format!(
            "insert into event (at, kind, lead_id, rule_id, depth, root_id) \
             select ?5, '{STEP_SKIPPED}', i.lead_id, i.rule_id, {CHAIN} from rule_instance i where {THESE} and {fails}"
        );
        let with = |first: Value| std::iter::once(first).chain(params.clone()).collect();
        self.run(&note, with(self.now.into()))?;
        let text = format!(
            "update rule_instance as i set status = 'performed', reason = ?5 where {THESE} and {fails}"
        );
        let reason = "The step is not for this lead; it goes on with the next one.";
        self.run(&text, with(reason.into())).map(|_| ())
    }

    /// The text that a mail is made of, and its number where several are tried: which one depends on the lead and the step
    /// alone.
    fn choice(&self, version: &Version) -> Result<(String, String)> {
        let one = (
            "cast(?6 as bigint)".to_owned(),
            "cast(null as bigint)".to_owned(),
        );
        let Some(step) = version.step.as_ref().filter(|step| step.variants > 1) else {
            return Ok(one);
        };
        let rule_id = match self.these.first() {
            Some(Value::Integer(id)) => *id,
            _ => 0,
        };
        let decided = match (&step.test, step.winner) {
            (Some(test), None) => {
                sequence::decide(self.db, rule_id, step.variants, test, self.now)?
            }
            (_, winner) => winner,
        };
        let no = match decided {
            Some(best) if best >= 0 => best.to_string(),
            _ => share(rule_id, step.variants),
        };
        let content = format!(
            "coalesce((select w.content_id from rule_variant w where w.rule_id = i.rule_id and w.no = {no}), ?6)"
        );
        Ok((content, no))
    }

    fn outreach(&self, version: &Version) -> Result<()> {
        let (content, variant) = self.choice(version)?;
        let text = format!(
            "insert into request (kind, status, dedupe_key, lead_id, rule_id, content_id, run_at, created_at, updated_at, \
               awaits_approval, variant, depth, root_id) \
             select 'outreach', 'pending', 'rule_instance:' || i.id, i.lead_id, i.rule_id, {content}, ?5, ?5, ?5, ?7, {variant}, {CHAIN} \
             from rule_instance i where {THESE} on conflict (dedupe_key) do nothing"
        );
        let more = params![self.now, version.content_id, version.approval].to_vec();
        self.run(&text, more).map(|_| ())
    }

    /// A lead for which the same is wanted already waits for that.
    fn enrich(&self, enrichment_type: &str) -> Result<()> {
        let text = format!(
            "insert into request (kind, status, dedupe_key, lead_id, rule_id, run_at, created_at, updated_at, enrichment_type, \
               wait_reason, depth, root_id) \
             select 'enrichment', 'pending', 'rule_instance:' || i.id, i.lead_id, i.rule_id, ?5, ?5, ?5, ?6, ?7, {CHAIN} \
             from rule_instance i where i.id in (select min(i.id) from rule_instance i where {THESE} group by i.lead_id) \
               and not exists (select 1 from request q where q.lead_id = i.lead_id and q.kind = 'enrichment' \
                 and q.enrichment_type = ?6 and q.status in ('pending', 'running')) \
             on conflict (dedupe_key) do nothing"
        );
        let waits = "No profile that completes what is known of leads is there.";
        let more = params![self.now, enrichment_type.trim(), waits].to_vec();
        self.run(&text, more).map(|_| ())
    }

    /// Logs that a tag was put on or taken off, of the leads for which `condition` holds.
    fn note_tag(&self, kind: &str, tag_id: i64, condition: &str) -> Result<()> {
        let text = format!(
            "insert into event (at, kind, lead_id, tag_id, rule_id, depth, root_id) \
             select ?5, ?6, i.lead_id, ?7, ?1, min(i.depth) + 1, min(coalesce(i.root_id, i.event_id)) \
             from rule_instance i where {THESE} \
               and {condition} (select 1 from lead_tag h where h.tag_id = ?7 and h.lead_id = i.lead_id) \
             group by i.lead_id"
        );
        self.run(&text, params![self.now, kind, tag_id].to_vec())
            .map(|_| ())
    }

    fn add_tag(&self, tag: &str) -> Result<()> {
        let tag_id = tag::ensure(self.db, tag, self.now)?;
        self.note_tag("tag_added", tag_id, "not exists")?;
        let text = format!(
            "insert into lead_tag (tag_id, lead_id, at, source) select distinct ?6, i.lead_id, ?5, 'rule:' || ?1 \
             from rule_instance i where {THESE} on conflict (tag_id, lead_id) do nothing"
        );
        self.run(&text, params![self.now, tag_id].to_vec())
            .map(|_| ())
    }

    fn remove_tag(&self, tag: &str) -> Result<()> {
        let Some(tag_id) = tag::find(self.db, tag)? else {
            return Ok(());
        };
        self.note_tag("tag_removed", tag_id, "exists")?;
        let text = format!(
            "delete from lead_tag where tag_id = ?5 and lead_id in (select i.lead_id from rule_instance i where {THESE})"
        );
        self.run(&text, params![tag_id].to_vec()).map(|_| ())
    }

    /// Ends mails that did not begin, and gives up what waits to write one, and other sequences that the lead is in: whatever
    /// their next step is, a mail may follow it.
    fn stop(&self) -> Result<()> {
        let of_these = format!(
            "lead_id in (select i.lead_id from rule_instance i where {THESE}) \
             and kind = 'outreach' and (status = 'pending' or (status = 'running' and begun_at is null))"
        );
        let note = format!(
            "insert into event (at, kind, lead_id, rule_id, profile_id, request_id) \
             select ?5, 'outreach_aborted', lead_id, rule_id, profile_id, id from request where {of_these}"
        );
        self.run(&note, params![self.now].to_vec())?;
        let end = format!(
            "update request set status = 'aborted', error = ?6, finished_at = ?5, updated_at = ?5, wait_reason = null, \
               wait_until = null, awaits_approval = 0 where {of_these}"
        );
        let reason = "A rule stopped what the lead had coming.";
        self.run(&end, params![self.now, reason].to_vec())?;
        let waiting = format!(
            "update rule_instance as w set status = 'aborted', reason = ?5 where w.status = 'pending' \
             and w.lead_id in (select i.lead_id from rule_instance i where {THESE}) \
             and (exists (select 1 from rule_version v where v.rule_id = w.rule_id and v.version = w.version and v.content_id is not null) \
               or (w.rule_id <> ?1 and exists (select 1 from rule r where r.id = w.rule_id and r.sequence_id is not null)))"
        );
        self.run(&waiting, params![reason].to_vec()).map(|_| ())
    }

    /// Says of all that is left that it was done.
    fn end(&self) -> Result<()> {
        let note = format!(
            "insert into event (at, kind, lead_id, rule_id, depth, root_id) \
             select ?5, 'rule_performed', i.lead_id, i.rule_id, {CHAIN} from rule_instance i where {THESE} order by i.due_at, i.id"
        );
        self.run(&note, params![self.now].to_vec())?;
        let text = format!("update rule_instance as i set status = 'performed' where {THESE}");
        self.run(&text, vec![]).map(|_| ())
    }
}
