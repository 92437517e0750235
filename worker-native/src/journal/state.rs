//! What the journal knows of each lease: pure transitions, and what a restart makes of them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use worker_api::{Lease, Outcome, Report};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "r", rename_all = "snake_case")]
pub enum Record {
    /// The first line of a file: its form, and the boot of the machine it was written under.
    Opened {
        /// 1
        version: u32,
        /// Changes whenever the machine starts, so whenever what was written but not yet on disk may have been lost.
        boot: Option<String>,
    },
    /// The request is in hand. Not forced to disk: without it, the lease just runs out.
    Claimed {
        /// Whose.
        lease: Lease,
    },
    /// The server waits for the text; nothing of it was sent. On disk before the text leaves.
    Begun {
        /// Whose.
        lease: Lease,
    },
    /// The text leaves now. Written, though not forced to disk: it need only survive the end of this process.
    Sending {
        /// Whose.
        lease: Lease,
    },
    /// How it ended. On disk before the slave hears of it.
    Ended {
        /// What the slave shall hear.
        report: Report,
    },
    /// The slave has heard, or nothing is left to say.
    Removed {
        /// Whose.
        lease: Lease,
    },
}

/// How far a lease is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// See [`Record::Claimed`].
    Claimed,
    /// See [`Record::Begun`].
    Begun,
    /// See [`Record::Sending`].
    Sending,
    /// See [`Record::Ended`].
    Ended(Report),
}

/// How much of what the last process wrote is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Lines are missing in the middle: what is not here may have been.
    Damaged,
    /// What was forced to disk. The machine restarted, or may have: the absence of other records proves nothing.
    Durable,
    /// Every record.
    All,
}

/// All leases the journal knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    entries: HashMap<Lease, Entry>,
}

impl State {
    /// Takes one record in. An end is final; a step back is no step.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Opened { .. } => {}
            Record::Claimed { lease } => {
                self.entries.entry(lease).or_insert(Entry::Claimed);
            }
            Record::Begun { lease } => {
                let entry = self.entries.entry(lease).or_insert(Entry::Begun);
                if *entry == Entry::Claimed {
                    *entry = Entry::Begun;
                }
            }
            Record::Sending { lease } => {
                let entry = self.entries.entry(lease).or_insert(Entry::Sending);
                if matches!(entry, Entry::Claimed | Entry::Begun) {
                    *entry = Entry::Sending;
                }
            }
            Record::Ended { report } => {
                self.entries
                    .insert(report.lease.clone(), Entry::Ended(report));
            }
            Record::Removed { lease } => {
                self.entries.remove(&lease);
            }
        }
    }

    /// How many leases it knows.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The records that make this state anew.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        self.entries.iter().map(|(lease, entry)| match entry {
            Entry::Claimed => Record::Claimed {
                lease: lease.clone(),
            },
            Entry::Begun => Record::Begun {
                lease: lease.clone(),
            },
            Entry::Sending => Record::Sending {
                lease: lease.clone(),
            },
            Entry::Ended(report) => Record::Ended {
                report: report.clone(),
            },
        })
    }

    /// What a restart has to report, by what is left of the last process's records.
    pub fn recover(&self, left: Left, now: i64) -> Vec<Report> {
        let report = |(lease, entry): (&Lease, &Entry)| {
            let outcome = match (entry, left) {
                (Entry::Ended(report), _) => return Some(report.clone()),
                // Nothing leaves before its begin is on disk, and that would be here.
                (Entry::Claimed, Left::Durable | Left::All) => Outcome::Released,
                // The slave knows whether it has begun; its lease runs out.
                (Entry::Claimed, Left::Damaged) => return None,
                (Entry::Begun, Left::All) => Outcome::Released,
                (Entry::Begun | Entry::Sending, _) => Outcome::Uncertain {
                    error:
                        "the worker stopped between handing the mail over and hearing the answer"
                            .into(),
                },
            };
            Some(Report {
                lease: lease.clone(),
                outcome,
                at: now,
            })
        };
        let mut reports: Vec<Report> = self.entries.iter().filter_map(report).collect();
        reports.sort_by(|a, b| {
            (a.at, &a.lease.subaccount, a.lease.id).cmp(&(b.at, &b.lease.subaccount, b.lease.id))
        });
        reports
    }
}

/// A record as a line: checksum, space, JSON, line feed.
///
/// # Errors
/// When the record has no JSON form, which its types rule out.
pub fn encode(record: &Record) -> serde_json::Result<Vec<u8>> {
    let json = serde_json::to_vec(record)?;
    let mut line = format!("{:08x} ", crc32fast::hash(&json)).into_bytes();
    line.extend_from_slice(&json);
    line.push(b'\n');
    Ok(line)
}

/// What a journal file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// The state after its last whole line.
    pub state: State,
    /// The boot it was written under.
    pub boot: Option<String>,
    /// How many lines before the last were damaged. A torn last line is not damage: its writer never went on.
    pub damaged: usize,
}

/// Reads a journal file's bytes.
pub fn replay(bytes: &[u8]) -> Replay {
    let mut replay = Replay::default();
    let mut lines = bytes.split_inclusive(|&b| b == b'\n').peekable();
    while let Some(line) = lines.next() {
        match decode(line) {
            Some(Record::Opened { boot, .. }) => replay.boot = boot,
            Some(record) => replay.state.apply(record),
            None if lines.peek().is_none() && !line.ends_with(b"\n") => {}
            None => replay.damaged += 1,
        }
    }
    replay
}

fn decode(line: &[u8]) -> Option<Record> {
    let (sum, rest) = line.split_at_checked(9)?;
    let json = rest.strip_suffix(b"\n")?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?.strip_suffix(' ')?, 16).ok()?;
    if crc32fast::hash(json) != sum {
        return None;
    }
    serde_json::from_slice(json).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn lease(id: i64) -> Lease {
        Lease {
            subaccount: "s".into(),
            id,
            lease_token: format!("t{id}"),
        }
    }

    pub(crate) fn ended(id: i64) -> Report {
        Report {
            lease: lease(id),
            outcome: Outcome::Performed {
                detail: "250 Ok".into(),
            },
            at: 5,
        }
    }

    fn kinds(reports: &[Report]) -> Vec<&'static str> {
        reports
            .iter()
            .map(|r| match r.outcome {
                Outcome::Performed { .. } => "performed",
                Outcome::Uncertain { .. } => "uncertain",
                Outcome::Released => "released",
                _ => "other",
            })
            .collect()
    }

    #[test]
    fn a_restart_reports_each_state_by_what_it_proves() {
        let begun = Record::Begun { lease: lease(1) };
        let sending = Record::Sending { lease: lease(1) };
        let end = Record::Ended { report: ended(1) };
        let removed = Record::Removed { lease: lease(1) };
        let claimed = Record::Claimed { lease: lease(1) };
        let table: [(&[&Record], Left, &[&str]); 14] = [
            (&[&claimed], Left::All, &["released"]),
            (&[&claimed], Left::Durable, &["released"]),
            (&[&claimed], Left::Damaged, &[]),
            (&[&claimed, &begun], Left::Durable, &["uncertain"]),
            (&[&claimed, &begun, &sending], Left::All, &["uncertain"]),
            (&[], Left::All, &[]),
            (&[&begun], Left::All, &["released"]),
            (&[&begun], Left::Durable, &["uncertain"]),
            (&[&begun, &sending], Left::All, &["uncertain"]),
            (&[&begun, &sending], Left::Durable, &["uncertain"]),
            (&[&begun, &sending, &end], Left::All, &["performed"]),
            (&[&begun, &sending, &end], Left::Durable, &["performed"]),
            (&[&end], Left::All, &["performed"]),
            (&[&begun, &sending, &end, &removed], Left::All, &[]),
        ];
        for (records, left, want) in table {
            let mut state = State::default();
            for record in records {
                state.apply((*record).clone());
            }
            assert_eq!(kinds(&state.recover(left, 9)), want, "{records:?} {left:?}");
        }
    }

    #[test]
    fn a_torn_tail_is_dropped_and_damage_inside_is_counted() {
        let mut bytes = Vec::new();
        let opened = Record::Opened {
            version: 1,
            boot: Some("b".into()),
        };
        for record in [
            opened,
            Record::Begun { lease: lease(1) },
            Record::Sending { lease: lease(1) },
        ] {
            bytes.extend(encode(&record).unwrap());
        }
        let whole = replay(&bytes);
        assert_eq!(
            (whole.boot.as_deref(), whole.damaged, whole.state.len()),
            (Some("b"), 0, 1)
        );
        let torn = replay(&bytes[..bytes.len() - 1]);
        assert_eq!(
            (torn.damaged, kinds(&torn.state.recover(Left::All, 0))),
            (0, vec!["released"])
        );
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        assert_eq!(replay(&bytes).damaged, 1);
        // A run of zeros, as some file systems leave after a power cut.
        bytes.extend([0; 100]);
        bytes.push(b'\n');
        assert_eq!(replay(&bytes).damaged, 2);
    }

    fn record() -> impl Strategy<Value = Record> {
        (1i64..5, 0u8..5).prop_map(|(id, kind)| match kind {
            4 => Record::Claimed { lease: lease(id) },
            0 => Record::Begun { lease: lease(id) },
            1 => Record::Sending { lease: lease(id) },
            2 => Record::Ended { report: ended(id) },
            _ => Record::Removed { lease: lease(id) },
        })
    }

    /// The same in the plainest words: the furthest step since the last removal.
    fn model(records: &[Record], id: i64) -> Option<&'static str> {
        let mut furthest = None;
        for record in records {
            let step = match record {
                Record::Claimed { lease } if lease.id == id => 0,
                Record::Begun { lease } if lease.id == id => 1,
                Record::Sending { lease } if lease.id == id => 2,
                Record::Ended { report } if report.lease.id == id => 3,
                Record::Removed { lease } if lease.id == id => {
                    furthest = None;
                    continue;
                }
                _ => continue,
            };
            furthest = furthest.max(Some(step));
        }
        furthest.map(|step| ["released", "released", "uncertain", "performed"][step])
    }

    proptest! {
        #[test]
        fn whatever_prefix_survives_reads_as_the_model_says(
            records in proptest::collection::vec(record(), 0..30),
            cut in 0usize..40,
        ) {
            let mut bytes = Vec::new();
            let mut ends = Vec::new();
            for record in &records {
                bytes.extend(encode(record).unwrap());
                ends.push(bytes.len());
            }
            let kept = bytes.len().saturating_sub(cut);
            let whole = ends.iter().filter(|&&end| end <= kept).count();
            let replayed = replay(&bytes[..kept]);
            prop_assert_eq!(replayed.damaged, 0);
            for id in 1..5 {
                let got = replayed.state.recover(Left::All, 5).into_iter().find(|r| r.lease.id == id);
                let got = got.map(|r| kinds(&[r])[0]);
                prop_assert_eq!(got, model(&records[..whole], id));
            }
            // The records of a state make the same state.
            let mut again = State::default();
            replayed.state.records().for_each(|r| again.apply(r));
            prop_assert_eq!(again, replayed.state);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = replay(&bytes);
        }
    }
}
