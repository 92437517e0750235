//! The nodes of an installation, as the master knows them.

use crate::params;
use crate::port::{Db, Result, Row, one};
use crate::queries::node as sql;

/// How long after its last report a node gets no new sub-accounts, in milliseconds.
pub const SILENT: i64 = 60_000;
/// How long a credential is good after it was rotated, in milliseconds.
pub const ROTATION: i64 = 10 * 60_000;

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// UUIDv7, or `local`.
    pub id: String,
    /// `slave` or `worker`.
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// The slave that a worker works for.
    pub slave_id: Option<String>,
    /// Whether a worker also works for profiles that are assigned to nobody.
    pub unassigned: bool,
    /// `joining`, `active`, `draining` or `revoked`.
    pub status: String,
    /// Where people reach a slave.
    pub base_url: Option<String>,
    /// Where the master reaches it.
    pub node_url: Option<String>,
    /// Its program's version.
    pub version: Option<String>,
    /// Sub-accounts that it has room for.
    pub slots: i64,
    /// Sub-accounts that it has.
    pub used: i64,
    /// What else it last reported, as JSON.
    pub report: String,
    /// When it last reported; 0 for never.
    pub seen_at: i64,
    /// Milliseconds.
    pub created_at: i64,
    /// Sub-accounts that were given to it.
    pub placed: i64,
    /// Until when the token is good that it was last given; 0 for one that was given none.
    pub join_until: i64,
}

fn from_row(mut r: Row) -> Node {
    Node {
        id: r.text(0),
        kind: r.text(1),
        name: r.text(2),
        slave_id: r.opt_text(3),
        unassigned: r.flag(4),
        status: r.text(5),
        base_url: r.opt_text(6),
        node_url: r.opt_text(7),
        version: r.opt_text(8),
        slots: r.int(9),
        used: r.int(10),
        report: r.text(11),
        seen_at: r.int(12),
        created_at: r.int(13),
        placed: r.int(14),
        join_until: r.int(15),
    }
}

/// A node that is to join.
#[derive(Debug, Clone)]
pub struct New<'a> {
    /// UUIDv7.
    pub id: &'a str,
    /// `slave` or `worker`.
    pub kind: &'a str,
    /// What people call it.
    pub name: &'a str,
    /// The slave that a worker works for.
    pub slave_id: Option<&'a str>,
    /// Whether a worker also works for profiles that are assigned to nobody.
    pub unassigned: bool,
    /// The hash of the token that it joins with.
    pub join_hash: &'a str,
    /// Until when the token is good.
    pub join_until: i64,
}

/// Keeps a node that is to join.
pub fn insert(db: &dyn Db, new: &New<'_>, now: i64) -> Result<()> {
    let params = params![
        new.id,
        new.kind,
        new.name,
        new.slave_id,
        new.unassigned,
        new.join_hash,
        new.join_until,
        now
    ];
    db.execute(sql::INSERT, params).map(|_| ())
}

/// One node.
pub fn get(db: &dyn Db, id: &str) -> Result<Option<Node>> {
    Ok(one(db, sql::GET, params![id])?.map(from_row))
}

/// All nodes; the one beside the master where there is one, or something is left on it.
pub fn list(db: &dyn Db, local: bool) -> Result<Vec<Node>> {
    let rows = db.query(sql::LIST, params![local])?;
    Ok(rows.into_iter().map(from_row).collect())
}

/// How many there are.
pub fn count(db: &dyn Db) -> Result<i64> {
    Ok(one(db, sql::COUNT, &[])?.map_or(0, |r| r.int(0)))
}

/// Whoever shows a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// UUIDv7.
    pub id: String,
    /// `slave` or `worker`.
    pub kind: String,
    /// The slave that a worker works for.
    pub slave_id: Option<String>,
    /// Whether a worker also works for profiles that are assigned to nobody.
    pub unassigned: bool,
    /// Whether it is to take nothing new.
    pub draining: bool,
}

/// Who shows a credential of this hash.
pub fn by_credential(db: &dyn Db, hash: &str, now: i64) -> Result<Option<Known>> {
    let row = one(db, sql::BY_CREDENTIAL, params![hash, now])?;
    Ok(row.map(|mut r| Known {
        id: r.text(0),
        kind: r.text(1),
        slave_id: r.opt_text(2),
        unassigned: r.flag(3),
        draining: r.text(4) == "draining",
    }))
}

/// A new token for a node to join with, once more. False when there is no such node.
pub fn offer(db: &dyn Db, id: &str, join_hash: &str, join_until: i64) -> Result<bool> {
    Ok(db.execute(sql::OFFER, params![id, join_hash, join_until])? > 0)
}

/// A node that has just joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// UUIDv7.
    pub id: String,
    /// `slave` or `worker`.
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// The slave of a worker.
    pub slave_id: Option<String>,
}

/// Takes a token, once. None when it is not good, or no longer.
pub fn join(
    db: &dyn Db,
    join_hash: &str,
    credential_hash: &str,
    version: Option<&str>,
    kind: Option<&str>,
    now: i64,
) -> Result<Option<Joined>> {
    let (until, kind) = (now + ROTATION, kind.unwrap_or_default());
    let params = params![join_hash, now, credential_hash, until, version, kind];
    Ok(one(db, sql::JOIN, params)?.map(|mut r| Joined {
        id: r.text(0),
        kind: r.text(1),
        name: r.text(2),
        slave_id: r.opt_text(3),
    }))
}

/// Lets a node that has joined work on (`active`), or take nothing new (`draining`).
pub fn set_status(db: &dyn Db, id: &str, status: &str) -> Result<bool> {
    Ok(db.execute(sql::SET_STATUS, params![id, status])? > 0)
}

/// Calls it otherwise.
pub fn set_name(db: &dyn Db, id: &str, name: &str) -> Result<bool> {
    Ok(db.execute(sql::SET_NAME, params![id, name])? > 0)
}

/// Ends a node for good. False when there is none that could be ended.
pub fn revoke(db: &dyn Db, id: &str) -> Result<bool> {
    Ok(db.execute(sql::REVOKE, params![id])? > 0)
}

/// What a node says of itself.
#[derive(Debug, Clone, Default)]
pub struct Report<'a> {
    /// Its program's version.
    pub version: &'a str,
    /// Sub-accounts that it has room for.
    pub slots: i64,
    /// Sub-accounts that it has.
    pub used: i64,
    /// The rest, as JSON.
    pub report: &'a str,
    /// Where people reach it.
    pub base_url: Option<&'a str>,
    /// Where the master reaches it.
    pub node_url: Option<&'a str>,
}

/// Keeps a node's report.
pub fn report(db: &dyn Db, id: &str, r: &Report<'_>, now: i64) -> Result<()> {
    let params = params![
        id, r.version, r.slots, r.used, r.report, r.base_url, r.node_url, now
    ];
    db.execute(sql::REPORT, params).map(|_| ())
}

/// What a call of ours told of a node by the way.
pub fn seen(db: &dyn Db, id: &str, slots: i64, used: i64, now: i64) -> Result<()> {
    db.execute(sql::SEEN, params![id, slots, used, now])
        .map(|_| ())
}

/// A node says that all of its slots are taken.
pub fn full(db: &dyn Db, id: &str) -> Result<()> {
    db.execute(sql::FULL, params![id]).map(|_| ())
}

/// A node cannot be asked, or refuses, just now: others first.
pub fn rest(db: &dyn Db, id: &str, until: i64) -> Result<()> {
    db.execute(sql::REST, params![id, until]).map(|_| ())
}

/// What there is for sub-accounts, and what there should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Slots of the nodes that take sub-accounts.
    pub slots: i64,
    /// How many nodes those are.
    pub nodes: i64,
    /// Nodes that could not be asked, or refused, just now.
    pub resting: i64,
    /// Nodes that have not reported for long.
    pub silent: i64,
}

/// What there is for sub-accounts.
pub fn capacity(db: &dyn Db, alive_since: i64, local: bool, now: i64) -> Result<Capacity> {
    let there = one(db, sql::CAPACITY, params![alive_since, local, now])?;
    let silent = one(db, sql::SILENT, params![alive_since, local])?;
    let count = |row: &Option<Row>, n| row.as_ref().map_or(0, |r| r.int(n));
    Ok(Capacity {
        slots: count(&there, 0),
        nodes: count(&there, 1),
        resting: count(&there, 2),
        silent: count(&silent, 0),
    })
}

/// People reach a slave at another address now: so they do its sub-accounts.
pub fn rebase(db: &dyn Db, id: &str, base_url: &str) -> Result<()> {
    db.execute(sql::REBASE, params![id, base_url]).map(|_| ())
}

/// Whether an account runs the installation.
pub fn is_operator(db: &dyn Db, account_id: &str) -> Result<bool> {
    Ok(!db.query(sql::OPERATOR, params![account_id])?.is_empty())
}
