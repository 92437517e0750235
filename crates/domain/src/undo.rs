//! Taking an import back: what each row changed, and how leads become what they were, unless somebody changed them since.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::lead::{Field, Fields};

/// What one row changed. A custom or built-in field that is in `set` and not in `before` was not there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Step {
    /// Whether the row made the lead.
    #[serde(default)]
    pub made: bool,
    /// The fields that it changed, as they became.
    pub set: Fields,
    /// The same fields as they were.
    pub before: Fields,
    /// The keys that the lead is found by since: kind and value.
    #[serde(default)]
    pub keys: Vec<(String, String)>,
}

impl Step {
    /// The step of a row that made a lead.
    pub fn making(fields: Fields) -> Step {
        let keys = fields.keys().into_iter();
        Step {
            made: true,
            keys: keys.map(|(kind, value)| (kind.to_owned(), value)).collect(),
            set: fields,
            before: Fields::default(),
        }
    }

    /// The step of a row that gave a lead new values; none when it knew all of them.
    pub fn completing(lead: &Fields, row: &Fields) -> Option<Step> {
        let mut step = Step::default();
        for field in Field::ALL {
            let (old, new) = (lead.get(field), row.get(field));
            if new.is_some() && old != new {
                step.set.built_in[field as usize] = new.map(str::to_owned);
                step.before.built_in[field as usize] = old.map(str::to_owned);
            }
        }
        for (name, new) in &row.data {
            let old = lead.data.get(name);
            if old != Some(new) {
                step.set.data.insert(name.clone(), new.clone());
                step.before
                    .data
                    .extend(old.map(|old| (name.clone(), old.clone())));
            }
        }
        (step.set != Fields::default()).then_some(step)
    }
}

/// The name under which a lead as a whole is kept.
pub const LEAD: &str = "lead";

/// What taking rows back changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TakenBack {
    /// Changed leads by id, whole.
    pub updated: BTreeMap<i64, Fields>,
    /// Leads that are no more.
    pub removed: BTreeSet<i64>,
    /// Keys that lead to nobody any more, or not to this lead: kind, value, lead.
    pub keys: Vec<(String, String, i64)>,
    /// What had to stay: lead and field, or [`LEAD`].
    pub kept: BTreeSet<(i64, String)>,
}

/// What is known before rows are taken back.
#[derive(Debug, Default, Clone)]
pub struct Now {
    /// Leads by id.
    pub leads: HashMap<i64, Fields>,
    /// Leads that something else than the import holds on to: a request, a tag of somebody's.
    pub held: HashSet<i64>,
    /// What later rows of the import had to leave already.
    pub kept: BTreeSet<(i64, String)>,
}

/// Takes rows back, the last one first. A row whose step is not known leaves its lead as it is, and says so.
pub fn take_back(steps: Vec<(i64, Option<Step>)>, mut now: Now) -> TakenBack {
    let mut back = TakenBack::default();
    for (id, step) in steps {
        let Some(lead) = now.leads.get_mut(&id) else {
            continue;
        };
        let kept = |name: &str| {
            let what = (id, name.to_owned());
            now.kept.contains(&what) || back.kept.contains(&what)
        };
        // A field that had to stay says that the lead is somebody's by now.
        let any = |kept: &BTreeSet<(i64, String)>| {
            let mut of_lead = kept.range((id, String::new())..(id + 1, String::new()));
            of_lead.next().is_some()
        };
        let is_changed = any(&now.kept) || any(&back.kept);
        match step {
            Some(step)
                if step.made && *lead == step.set && !now.held.contains(&id) && !is_changed =>
            {
                now.leads.remove(&id);
                back.updated.remove(&id);
                back.removed.insert(id);
            }
            None | Some(Step { made: true, .. }) => {
                back.kept.insert((id, LEAD.to_owned()));
            }
            Some(step) => {
                let left = restore(lead, &step, kept);
                let keys = lead.keys();
                let gone = step
                    .keys
                    .into_iter()
                    .filter(|(kind, value)| !keys.iter().any(|(k, v)| k == kind && v == value));
                back.keys
                    .extend(gone.map(|(kind, value)| (kind, value, id)));
                back.updated.insert(id, lead.clone());
                back.kept.extend(left.into_iter().map(|name| (id, name)));
            }
        }
    }
    back
}

/// Gives the fields of a step their old values where they have the step's; returns the others' names.
fn restore(lead: &mut Fields, step: &Step, kept: impl Fn(&str) -> bool) -> Vec<String> {
    let mut left = Vec::new();
    for field in Field::ALL {
        let at = field as usize;
        let changed = step.set.built_in[at].is_some() && !kept(field.name());
        if changed && lead.built_in[at] == step.set.built_in[at] {
            lead.built_in[at].clone_from(&step.before.built_in[at]);
        } else if changed {
            left.push(field.name().to_owned());
        }
    }
    for (name, set) in step.set.data.iter().filter(|(name, _)| !kept(name)) {
        if lead.data.get(name) != Some(set) {
            left.push(name.clone());
            continue;
        }
        match step.before.data.get(name) {
            Some(before) => lead.data.insert(name.clone(), before.clone()),
            None => lead.data.remove(name),
        };
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mapping::Mode;
    use crate::merge::{Known, Verdict, merge};

    fn row(person: usize, values: [usize; 2]) -> Fields {
        let mut fields = Fields::default();
        fields.set(Field::Email, format!("p{person}@x.test"));
        if values[0] > 0 {
            fields.set(Field::Company, format!("c{}", values[0]));
        }
        if values[1] > 0 {
            fields.data.insert("shoe".into(), values[1].to_string());
        }
        fields
    }

    fn rows() -> impl Strategy<Value = Vec<Fields>> {
        let row = (0usize..4, [0usize..3, 0usize..3]).prop_map(|(p, v)| row(p, v));
        prop::collection::vec(row, 0..12)
    }

    /// Merges rows over what is known, and returns what each changed, in order.
    fn import(known: &mut Known, rows: &[Fields]) -> Vec<(i64, Option<Step>)> {
        let rows: Vec<_> = (1..).zip(rows.iter().cloned()).collect();
        let next_id = known.leads.keys().max().map_or(1, |id| id + 1);
        let mut changes = merge(rows.clone(), Mode::Both, known.clone(), next_id);
        let mut steps = Vec::new();
        for (no, verdict) in &changes.verdicts {
            match verdict {
                Verdict::Created(id) => {
                    let row = rows[*no as usize - 1].1.clone();
                    steps.push((*id, Some(Step::making(row))));
                }
                Verdict::Updated(id) => steps.push((*id, changes.steps.remove(no))),
                _ => {}
            }
        }
        known.leads.extend(changes.created);
        known.leads.extend(changes.updated);
        let keys = changes.keys.into_iter();
        known.keys.extend(keys.map(|(k, v, id)| ((k, v), id)));
        steps
    }

    fn apply(leads: &mut HashMap<i64, Fields>, back: &TakenBack) {
        leads.extend(back.updated.clone());
        leads.retain(|id, _| !back.removed.contains(id));
    }

    proptest! {
        /// Untouched since, everything becomes what it was, in however many batches; and what is found by a key is there.
        #[test]
        fn an_import_that_is_taken_back_never_was(before in rows(), file in rows(), cut in 0usize..12) {
            let mut known = Known::default();
            import(&mut known, &before);
            let (leads, keys) = (known.leads.clone(), known.keys.clone());
            let mut steps = import(&mut known, &file);
            steps.reverse();
            let rest = steps.split_off(cut.min(steps.len()));
            for batch in [steps, rest] {
                let now = Now { leads: known.leads.clone(), ..Now::default() };
                let back = take_back(batch, now);
                prop_assert!(back.kept.is_empty());
                apply(&mut known.leads, &back);
                known.keys.retain(|_, id| !back.removed.contains(id));
                for (kind, value, id) in &back.keys {
                    known.keys.retain(|(k, v), lead| !(k == kind && v == value && lead == id));
                }
            }
            prop_assert_eq!(known.leads, leads);
            prop_assert_eq!(known.keys, keys);
        }

        /// The model: a field that still has what the import gave it last becomes what it was before the import's first
        /// word on it; any other stays and is named. A lead that the import made goes if nothing of it was changed.
        #[test]
        fn what_was_changed_since_stays_and_is_named(before in rows(), file in rows(), since in prop::collection::vec((1i64..5, prop::option::of(5usize..7)), 0..4)) {
            let mut known = Known::default();
            import(&mut known, &before);
            let old = known.leads.clone();
            let steps = import(&mut known, &file);
            let after = known.leads.clone();
            for (id, company) in since {
                if let Some(lead) = known.leads.get_mut(&id) {
                    lead.built_in[Field::Company as usize] = company.map(|c| format!("new{c}"));
                }
            }
            let current = known.leads.clone();
            let back = take_back(steps.into_iter().rev().collect(), Now { leads: current.clone(), ..Now::default() });
            apply(&mut known.leads, &back);
            for (id, after) in &after {
                let (was, is, end) = (old.get(id), &current[id], known.leads.get(id));
                let company = |f: &Fields| f.get(Field::Company).map(str::to_owned);
                let touched = was.is_none_or(|was| company(was) != company(after));
                let changed = company(is) != company(after);
                match was {
                    None if !changed => prop_assert_eq!(end, None),
                    None => prop_assert!(back.kept.contains(&(*id, LEAD.to_owned()))),
                    Some(was) => {
                        let end = end.expect("a lead that was there stays");
                        prop_assert_eq!(end.data.get("shoe"), was.data.get("shoe"));
                        if changed {
                            prop_assert_eq!(company(end), company(is));
                        } else {
                            prop_assert_eq!(company(end), company(was));
                        }
                        if touched && changed {
                            prop_assert!(back.kept.contains(&(*id, "company".to_owned())));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_lead_that_others_hold_on_to_is_kept() {
        let lead = row(1, [1, 0]);
        let now = Now {
            leads: HashMap::from([(7, lead.clone())]),
            held: HashSet::from([7]),
            ..Now::default()
        };
        let back = take_back(vec![(7, Some(Step::making(lead)))], now);
        assert!(back.removed.is_empty());
        assert_eq!(back.kept, BTreeSet::from([(7, LEAD.to_owned())]));
    }
}
