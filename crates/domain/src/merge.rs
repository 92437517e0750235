//! Folds imported rows into leads. The rows of a batch see each other in their order, so the outcome does not depend
//! on where one batch ends and the next begins.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::lead::{Field, Fields};
use crate::mapping::Mode;
use crate::undo::Step;

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A new lead.
    Created(i64),
    /// A lead that knows more or other things now.
    Updated(i64),
    /// A lead that knew all of it.
    Unchanged(i64),
    /// Not taken, on purpose: the code says why.
    Skipped(&'static str),
    /// Not taken: code and reason.
    Failed(&'static str, String),
}

/// What is known before a batch: leads by id, ids by key, addresses that must be left alone.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Leads by id.
    pub leads: HashMap<i64, Fields>,
    /// Ids by kind and normalised value.
    pub keys: HashMap<(&'static str, String), i64>,
    /// Suppressed addresses.
    pub suppressed: HashSet<String>,
}

/// What a batch changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New leads by id.
    pub created: BTreeMap<i64, Fields>,
    /// Changed leads by id, whole.
    pub updated: BTreeMap<i64, Fields>,
    /// New keys.
    pub keys: Vec<(&'static str, String, i64)>,
    /// What the rows that changed a lead changed, by their numbers.
    pub steps: BTreeMap<i64, Step>,
    /// Each row's number and what became of it, in order.
    pub verdicts: Vec<(i64, Verdict)>,
}

/// Merges rows (number and fields) into what is known, as far as the mode lets them. New leads get ids from `next_id` on.
pub fn merge(rows: Vec<(i64, Fields)>, mode: Mode, mut known: Known, mut next_id: i64) -> Changes {
    let mut changes = Changes::default();
    for (no, row) in rows {
        let verdict = merge_row(no, row, mode, &mut known, &mut next_id, &mut changes);
        changes.verdicts.push((no, verdict));
    }
    for (id, fields) in &mut changes.created {
        if let Some(last) = known.leads.get(id) {
            fields.clone_from(last);
        }
    }
    for (id, fields) in &mut changes.updated {
        if let Some(last) = known.leads.get(id) {
            fields.clone_from(last);
        }
    }
    changes
}

fn merge_row(
    no: i64,
    row: Fields,
    mode: Mode,
    known: &mut Known,
    next_id: &mut i64,
    changes: &mut Changes,
) -> Verdict {
    if row
        .get(Field::Email)
        .is_some_and(|e| known.suppressed.contains(e))
    {
        return Verdict::Skipped("suppressed");
    }
    let keys = row.keys();
    // Of two leads with one mailbox, its domain written in two ways, the one that the row writes is meant.
    let found = |kind| {
        let mut keys = keys.iter().filter(|key| key.0 == kind);
        keys.find_map(|key| known.keys.get(key).copied())
    };
    let (email, linkedin) = (found("email"), found("linkedin"));
    if let (Some(first), Some(other)) = (email, linkedin)
        && first != other
    {
        let reason = format!(
            "The row matches two leads: {first} by e-mail and {other} by LinkedIn profile."
        );
        return Verdict::Failed("conflict", reason);
    }
    let id = email.or(linkedin);
    match (mode, id) {
        (Mode::Create, Some(_)) => return Verdict::Skipped("lead_exists"),
        (Mode::Update, None) => return Verdict::Skipped("no_such_lead"),
        _ => {}
    }
    let (id, mut step) = match id {
        None => {
            let id = *next_id;
            *next_id += 1;
            known.leads.insert(id, row);
            changes.created.insert(id, Fields::default());
            (id, None)
        }
        Some(id) => {
            let lead = known.leads.entry(id).or_default();
            let Some(step) = Step::completing(lead, &row) else {
                return Verdict::Unchanged(id);
            };
            lead.absorb(&row);
            if !changes.created.contains_key(&id) {
                changes.updated.insert(id, Fields::default());
            }
            (id, Some(step))
        }
    };
    for (kind, value) in keys {
        if let Entry::Vacant(free) = known.keys.entry((kind, value)) {
            let (kind, value) = free.key().clone();
            free.insert(id);
            if let Some(step) = &mut step {
                step.keys.push((kind.to_owned(), value.clone()));
            }
            changes.keys.push((kind, value, id));
        }
    }
    match step {
        None => Verdict::Created(id),
        Some(step) => {
            changes.steps.insert(no, step);
            Verdict::Updated(id)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(email: &str, company: &str, linkedin: &str) -> Fields {
        let mut fields = Fields::default();
        for (field, value) in [
            (Field::Email, email),
            (Field::Company, company),
            (Field::Linkedin, linkedin),
        ] {
            if !value.is_empty() {
                fields.set(field, value);
            }
        }
        fields
    }

    #[test]
    fn a_mailbox_is_known_in_both_forms_of_its_domain() {
        let (dns, own) = ("ann@xn--exmple-cua.test", "ann@exämple.test");
        let both = vec![(1, row(dns, "", "")), (2, row(own, "Acme", ""))];
        let changes = merge(both.clone(), Mode::Both, Known::default(), 1);
        assert_eq!(changes.created.len(), 1, "{changes:?}");
        assert_eq!(changes.verdicts[1].1, Verdict::Updated(1));

        let known = Known {
            leads: both.into_iter().collect(),
            keys: [(dns, 1), (own, 2)]
                .map(|(form, id)| (("email", form.to_owned()), id))
                .into(),
            ..Known::default()
        };
        let rows = vec![(1, row(own, "", "")), (2, row(dns, "", ""))];
        let verdicts = merge(rows, Mode::Both, known, 3).verdicts;
        let unchanged = [(1, Verdict::Unchanged(2)), (2, Verdict::Unchanged(1))];
        assert_eq!(verdicts, unchanged);
    }

    #[test]
    fn rows_of_one_batch_see_each_other() {
        let rows = vec![
            (1, row("a@x.test", "Acme", "")),
            (2, row("a@x.test", "", "")),
            (3, row("a@x.test", "Other", "linkedin.com/in/a")),
            (4, row("", "Third", "https://www.linkedin.com/in/a/")),
            (5, row("stop@x.test", "", "")),
        ];
        let known = Known {
            suppressed: HashSet::from(["stop@x.test".to_owned()]),
            ..Known::default()
        };
        let changes = merge(rows, Mode::Both, known, 7);
        let verdicts: Vec<_> = changes.verdicts.into_iter().map(|v| v.1).collect();
        assert_eq!(
            verdicts,
            [
                Verdict::Created(7),
                Verdict::Unchanged(7),
                Verdict::Updated(7),
                Verdict::Updated(7),
                Verdict::Skipped("suppressed")
            ]
        );
        assert_eq!(changes.created[&7].get(Field::Company), Some("Third"));
        assert!(changes.updated.is_empty());
        assert_eq!(changes.keys.len(), 2);
    }

    #[test]
    fn a_row_that_matches_two_leads_is_a_conflict() {
        let rows = vec![
            (1, row("a@x.test", "", "")),
            (2, row("", "", "linkedin.com/in/bob")),
            (3, row("a@x.test", "", "linkedin.com/in/bob")),
        ];
        let changes = merge(rows, Mode::Both, Known::default(), 1);
        assert!(matches!(
            changes.verdicts[2].1,
            Verdict::Failed("conflict", _)
        ));
    }

    #[test]
    fn a_mode_leaves_rows_out() {
        let rows = || {
            vec![
                (1, row("old@x.test", "Acme", "")),
                (2, row("new@x.test", "", "")),
            ]
        };
        let known = || {
            let mut known = Known::default();
            known.keys.insert(("email", "old@x.test".to_owned()), 1);
            known.leads.insert(1, row("old@x.test", "", ""));
            known
        };
        let end = |mode| {
            let changes = merge(rows(), mode, known(), 2);
            changes
                .verdicts
                .into_iter()
                .map(|v| v.1)
                .collect::<Vec<_>>()
        };
        assert_eq!(end(Mode::Both), [Verdict::Updated(1), Verdict::Created(2)]);
        assert_eq!(
            end(Mode::Create),
            [Verdict::Skipped("lead_exists"), Verdict::Created(2)]
        );
        assert_eq!(
            end(Mode::Update),
            [Verdict::Updated(1), Verdict::Skipped("no_such_lead")]
        );
    }

    proptest! {
        /// One batch or many: the same leads and the same verdicts.
        #[test]
        fn batches_do_not_matter(rows in prop::collection::vec((0usize..5, 0usize..3, 0usize..4), 1..30), cut in 0usize..30, mode in 0usize..2) {
            let mode = [Mode::Both, Mode::Create][mode];
            let names = ["", "Acme", "Other"];
            let rows: Vec<_> = rows.into_iter().enumerate().map(|(i, (e, c, l))| {
                let linkedin = if l == 0 { String::new() } else { format!("linkedin.com/in/user{l}") };
                (i as i64, row(&format!("u{e}@x.test"), names[c], &linkedin))
            }).collect();
            let whole = merge(rows.clone(), mode, Known::default(), 1);
            let cut = cut.min(rows.len());
            let first = merge(rows[..cut].to_vec(), mode, Known::default(), 1);
            let mut known = Known::default();
            known.leads.extend(first.created.clone());
            known.keys.extend(first.keys.iter().map(|(k, v, id)| ((*k, v.clone()), *id)));
            let next_id = 1 + first.created.len() as i64;
            let second = merge(rows[cut..].to_vec(), mode, known, next_id);
            let mut leads = first.created;
            leads.extend(second.created);
            leads.extend(second.updated);
            prop_assert_eq!(leads, whole.created);
            let verdicts: Vec<_> = first.verdicts.into_iter().chain(second.verdicts).collect();
            prop_assert_eq!(verdicts, whole.verdicts);
        }
    }
}
