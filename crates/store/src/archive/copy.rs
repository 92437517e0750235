//! A copy from one database to another in pieces that a call can carry. What the copy holds says how far it is: rows come
//! in the order of their tables and keys, so the last row is the cursor, and no crash can part the two.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::catalog::{self, Table};
use super::{Error, Result, from_json, hex, line, to_json};
use crate::port::{Db, Value, insert_many, one, transaction};

/// Rows that are read at once, and of tables that hold bytes.
const ROWS: i64 = 200;
const ROWS_WITH_BYTES: i64 = 4;
/// A piece ends with the row that makes it longer than this, in bytes.
const SIZE: usize = 512 << 10;

/// How far a copy is: its last row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The table.
    pub table: String,
    /// The values of its primary key, as in an archive.
    pub key: Vec<Json>,
}

/// Rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The table.
    pub table: String,
    /// The columns of its rows, in order.
    pub columns: Vec<String>,
    /// The rows, in the order of the primary key.
    pub rows: Vec<Vec<Json>>,
}

/// The rows that come after a position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The version of the schema.
    pub schema_version: i64,
    /// What it comes after; none for the first.
    pub after: Option<Position>,
    /// Rows of tables that follow each other.
    pub parts: Vec<Part>,
    /// The SHA-256 of their lines, as in an archive.
    pub sha256: String,
    /// How many rows there are in all, by table; only with the last piece.
    pub counts: Option<Vec<(String, u64)>>,
}

/// How far a copy is; none when nothing was copied yet.
///
/// # Errors
/// When the database fails.
pub fn position(db: &dyn Db) -> Result<Option<Position>> {
    for table in catalog::tables(db)?.iter().rev() {
        if let Some(row) = one(db, &table.last(), &[])? {
            return Ok(Some(Position {
                table: table.name.clone(),
                key: row.0.iter().map(to_json).collect(),
            }));
        }
    }
    Ok(None)
}

/// Reads the piece after a position. Nobody may write to the database until the copy is complete.
///
/// # Errors
/// [`Error::Invalid`] when there is no such position, or when the database fails.
pub fn read(db: &dyn Db, after: Option<&Position>) -> Result<Piece> {
    let tables = catalog::tables(db)?;
    let (from, mut last) = place(&tables, after)?;
    let mut piece = Piece {
        schema_version: crate::migrate::version(db)?,
        after: after.cloned(),
        parts: Vec::new(),
        sha256: String::new(),
        counts: None,
    };
    let (mut hash, mut size) = (Sha256::new(), 0);
    for table in &tables[from..] {
        let (rows, full) = rows(db, table, last.take(), &mut hash, &mut size)?;
        if !rows.is_empty() {
            piece.parts.push(Part {
                table: table.name.clone(),
                columns: table.columns.clone(),
                rows,
            });
        }
        if full {
            piece.sha256 = hex(hash);
            return Ok(piece);
        }
    }
    piece.sha256 = hex(hash);
    piece.counts = Some(counts(db, &tables)?);
    Ok(piece)
}

/// The table and the key of a position.
fn place(tables: &[Table], at: Option<&Position>) -> Result<(usize, Option<Vec<Value>>)> {
    let Some(at) = at else {
        return Ok((0, None));
    };
    let table = tables.iter().position(|t| t.name == at.table);
    let key: Option<Vec<_>> = at.key.iter().cloned().map(from_json).collect();
    let known = table.zip(key);
    let known = known.filter(|(table, key)| tables[*table].key.len() == key.len());
    let (table, key) = known.ok_or_else(|| Error::Invalid("There is no such position.".into()))?;
    Ok((table, Some(key)))
}

/// The rows of a table after a key, and whether the piece is full with them.
fn rows(
    db: &dyn Db,
    table: &Table,
    mut after: Option<Vec<Value>>,
    hash: &mut Sha256,
    size: &mut usize,
) -> Result<(Vec<Vec<Json>>, bool)> {
    let limit = if table.bytes { ROWS_WITH_BYTES } else { ROWS };
    let mut all = Vec::new();
    loop {
        let (text, params) = table.page(after.as_deref(), limit);
        let page = db.query(&text, &params)?;
        let ended = (page.len() as i64) < limit;
        for row in &page {
            let cells: Vec<_> = row.0.iter().map(to_json).collect();
            *size += count_in(hash, &cells);
            all.push(cells);
            if *size > SIZE {
                return Ok((all, true));
            }
        }
        match page.last() {
            Some(row) if !ended => after = Some(table.key_of(row)),
            _ => return Ok((all, false)),
        }
    }
}

/// Adds a row to a hash; the length of its line.
fn count_in(hash: &mut Sha256, cells: &[Json]) -> usize {
    let mut text = Vec::new();
    line(&mut text, &cells);
    hash.update(&text);
    text.len()
}

fn counts(db: &dyn Db, tables: &[Table]) -> Result<Vec<(String, u64)>> {
    let count = |t: &Table| {
        let row = one(db, &format!("select count(*) from \"{}\"", t.name), &[])?;
        let count = row.map_or(0, |r| r.int(0));
        Ok((t.name.clone(), u64::try_from(count).unwrap_or_default()))
    };
    tables.iter().map(count).collect()
}

/// What a stretch of rows comes to: at both ends of a good copy the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The SHA-256 of their lines.
    pub sha256: String,
    /// The last of them; none when no more come.
    pub end: Option<Position>,
    /// How many rows there are in all, by table; only with the last stretch.
    pub counts: Option<Vec<(String, u64)>>,
}

/// Reads the stretch after a position.
///
/// # Errors
/// [`Error::Invalid`] when there is no such position, or when the database fails.
pub fn digest(db: &dyn Db, after: Option<&Position>) -> Result<Digest> {
    let piece = read(db, after)?;
    let last = piece.parts.last().filter(|_| piece.counts.is_none());
    let tables = catalog::tables(db)?;
    let end = last.and_then(|part| {
        let table = tables.iter().find(|t| t.name == part.table)?;
        let row = part.rows.last()?;
        Some(Position {
            table: part.table.clone(),
            key: table.key.iter().map(|k| row[*k].clone()).collect(),
        })
    });
    Ok(Digest {
        sha256: piece.sha256,
        end,
        counts: piece.counts,
    })
}

/// Keeps a piece if it is the next, and says whether the copy is complete. What was kept is read again and compared with
/// what was sent. A piece that came late changes nothing.
///
/// # Errors
/// [`Error::Invalid`] when the piece, or the copy as a whole, is not what it should be; nothing of the piece is kept then.
pub fn write(db: &dyn Db, piece: &Piece) -> Result<bool> {
    let version = crate::migrate::version(db)?;
    if piece.schema_version != version {
        return Err(Error::Invalid(format!(
            "The one node has the schema {}, the other {version}: bring both to the same version of Sluice.",
            piece.schema_version
        )));
    }
    transaction(db, || {
        if position(db)? != piece.after {
            return Ok(false);
        }
        let tables = catalog::tables(db)?;
        let (_, mut last) = place(&tables, piece.after.as_ref())?;
        let mut hash = Sha256::new();
        for part in &piece.parts {
            let after = piece.after.as_ref().filter(|at| at.table == part.table);
            insert(db, &tables, part, after.and(last.take()), &mut hash)?;
        }
        if hex(hash) != piece.sha256 {
            return Err(wrong("rows changed on their way"));
        }
        let Some(expected) = &piece.counts else {
            return Ok(false);
        };
        if counts(db, &tables)? != *expected {
            return Err(wrong("rows are missing"));
        }
        catalog::set_sequences(db, &tables)?;
        Ok(true)
    })
}

fn wrong(reason: &str) -> Error {
    Error::Invalid(format!("The copy is not the same: {reason}."))
}

/// Inserts rows of a table, reads them again and hashes what is there.
fn insert(
    db: &dyn Db,
    tables: &[Table],
    part: &Part,
    after: Option<Vec<Value>>,
    hash: &mut Sha256,
) -> Result<()> {
    let same = |t: &&Table| t.name == part.table && t.columns == part.columns;
    let table = tables.iter().find(same);
    let table = table.ok_or_else(|| wrong("the tables differ"))?;
    let columns = table.columns.len();
    if part.rows.iter().any(|row| row.len() != columns) {
        return Err(wrong("a row has other cells than its table"));
    }
    let values: Option<Vec<_>> = part.rows.iter().flatten().cloned().map(from_json).collect();
    let values = values.ok_or_else(|| wrong("a cell cannot be read"))?;
    insert_many(db, &table.insert(), columns, "", values)?;
    let (text, params) = table.page(after.as_deref(), part.rows.len() as i64);
    for row in db.query(&text, &params)? {
        let cells: Vec<_> = row.0.iter().map(to_json).collect();
        count_in(hash, &cells);
    }
    Ok(())
}
