//! What tables a tenant's database has, as the database itself says.

use crate::migrate::{Migration, latest, migrate, version};
use crate::port::{Db, Engine, Error as StoreError, Value, one};
use crate::{params, transaction};

use super::{Error, Result};

/// One table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    /// The places of the primary key's columns in `columns`.
    pub(super) key: Vec<usize>,
    /// Whether it holds bytes, so that few rows may be much.
    pub(super) bytes: bool,
}

impl Table {
    fn list(&self) -> String {
        let quoted: Vec<_> = self.columns.iter().map(|c| format!("\"{c}\"")).collect();
        quoted.join(", ")
    }

    /// The rows after a key, in the order of the key.
    pub(super) fn page(&self, after: Option<&[Value]>, limit: i64) -> (String, Vec<Value>) {
        let key: Vec<_> = self
            .key
            .iter()
            .map(|k| format!("\"{}\"", self.columns[*k]))
            .collect();
        let key = key.join(", ");
        let mut params: Vec<Value> = vec![limit.into()];
        let mut condition = String::new();
        if let Some(after) = after.filter(|after| !after.is_empty()) {
            let places: Vec<_> = (2..2 + after.len()).map(|p| format!("?{p}")).collect();
            condition = format!("where ({key}) > ({})", places.join(", "));
            params.extend_from_slice(after);
        }
        let (columns, name) = (self.list(), &self.name);
        let text = format!("select {columns} from \"{name}\" {condition} order by {key} limit ?1");
        (text, params)
    }

    /// The primary key of a row.
    pub(super) fn key_of(&self, row: &crate::Row) -> Vec<Value> {
        self.key.iter().map(|k| row.0[*k].clone()).collect()
    }

    /// Asks for the primary key of the last row.
    pub(super) fn last(&self) -> String {
        let columns = self.key.iter().map(|k| &self.columns[*k]);
        let key: Vec<_> = columns.clone().map(|c| format!("\"{c}\"")).collect();
        let down: Vec<_> = columns.map(|c| format!("\"{c}\" desc")).collect();
        let (key, down) = (key.join(", "), down.join(", "));
        format!(
            "select {key} from \"{}\" order by {down} limit 1",
            self.name
        )
    }

    /// The head of a statement that inserts rows.
    pub(super) fn insert(&self) -> String {
        format!("insert into \"{}\" ({})", self.name, self.list())
    }
}

/// What the tables that can be made again from the others begin with.
const DERIVED: &str = "search_";

/// Tables of the index that leads are searched by, in the order that they can be dropped in; others of that prefix are
/// their parts.
const INDEX: [&str; 4] = [
    "search_word",
    "search_order",
    "search_stale",
    "search_state",
];

fn names(db: &dyn Db) -> Result<Vec<String>> {
    let text = match db.engine() {
        Engine::Sqlite => {
            "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name"
        }
        Engine::Postgres => {
            "select cast(tablename as text) from pg_tables where schemaname = 'public' order by 1"
        }
    };
    let rows = db.query(text, &[])?;
    let names = rows.into_iter().map(|mut r| r.text(0));
    Ok(names.filter(|name| !name.starts_with(DERIVED)).collect())
}

/// All tables but the version's, each after those it refers to.
pub(super) fn tables(db: &dyn Db) -> Result<Vec<Table>> {
    let mut waiting = Vec::new();
    for name in names(db)?.into_iter().filter(|n| n != "schema_version") {
        let refers_to = references(db, &name)?;
        waiting.push((table(db, name)?, refers_to));
    }
    let mut ordered: Vec<Table> = Vec::new();
    while !waiting.is_empty() {
        let ready = |(table, refers_to): &(Table, Vec<String>)| {
            refers_to
                .iter()
                .all(|to| *to == table.name || ordered.iter().any(|t| t.name == *to))
        };
        let Some(at) = waiting.iter().position(ready) else {
            return Err(
                StoreError::Other("tables refer to each other in a circle".to_owned()).into(),
            );
        };
        ordered.push(waiting.remove(at).0);
    }
    Ok(ordered)
}

fn table(db: &dyn Db, name: String) -> Result<Table> {
    let text = match db.engine() {
        Engine::Sqlite => "select name, lower(type), pk from pragma_table_info(?1) order by cid",
        Engine::Postgres => {
            "select cast(a.attname as text), cast(format_type(a.atttypid, null) as text), \
             coalesce(cast(array_position(cast(c.conkey as int2[]), a.attnum) as bigint), 0) \
             from pg_attribute a left join pg_constraint c on c.conrelid = a.attrelid and c.contype = 'p' \
             where a.attrelid = (select oid from pg_class where relname = ?1 and relnamespace = 'public'::regnamespace) \
             and a.attnum > 0 and not a.attisdropped order by a.attnum"
        }
    };
    let (mut columns, mut key, mut bytes) = (Vec::new(), Vec::new(), false);
    for (at, mut row) in db.query(text, params![&name])?.into_iter().enumerate() {
        columns.push(row.text(0));
        bytes |= ["blob", "bytea"].contains(&row.text(1).as_str());
        if row.int(2) > 0 {
            key.push((row.int(2), at));
        }
    }
    key.sort_unstable();
    if key.is_empty() {
        return Err(StoreError::Other(format!("the table {name} has no primary key")).into());
    }
    let key = key.into_iter().map(|(_, at)| at).collect();
    Ok(Table {
        name,
        columns,
        key,
        bytes,
    })
}

/// The tables that a table refers to.
fn references(db: &dyn Db, name: &str) -> Result<Vec<String>> {
    let text = match db.engine() {
        Engine::Sqlite => "select \"table\" from pragma_foreign_key_list(?1)",
        Engine::Postgres => {
            "select cast(t.relname as text) from pg_constraint c join pg_class t on t.oid = c.confrelid \
             join pg_class s on s.oid = c.conrelid and s.relnamespace = 'public'::regnamespace \
             where c.contype = 'f' and s.relname = ?1"
        }
    };
    let rows = db.query(text, params![name])?;
    Ok(rows.into_iter().map(|mut r| r.text(0)).collect())
}

/// Refuses a database that holds rows.
pub(super) fn require_empty(db: &dyn Db) -> Result<()> {
    for name in names(db)?.into_iter().filter(|n| n != "schema_version") {
        if one(db, &format!("select 1 from \"{name}\" limit 1"), &[])?.is_some() {
            return Err(Error::NotEmpty(name));
        }
    }
    Ok(())
}

/// Gives an empty database the schema of an archive's version.
pub(super) fn prepare(db: &dyn Db, migrations: &[Migration]) -> Result<()> {
    require_empty(db)?;
    let at = match names(db)?.is_empty() {
        true => 0,
        false => version(db)?,
    };
    if at > latest(migrations) {
        clear(db)?;
    }
    migrate(db, migrations)?;
    Ok(())
}

/// Drops all tables, those first that no other refers to.
pub(super) fn clear(db: &dyn Db) -> Result<()> {
    let ordered = tables(db)?;
    transaction(db, || -> Result<()> {
        let ordered = ordered.iter().rev().map(|t| t.name.as_str());
        for table in INDEX.into_iter().chain(ordered).chain(["schema_version"]) {
            db.execute(&format!("drop table if exists \"{table}\""), &[])?;
        }
        Ok(())
    })
}

/// New rows are numbered after those that came with an archive; SQLite sees to that itself.
pub(super) fn set_sequences(db: &dyn Db, tables: &[Table]) -> Result<()> {
    if db.engine() == Engine::Sqlite {
        return Ok(());
    }
    for table in tables {
        let identity = "select cast(column_name as text) from information_schema.columns \
             where table_schema = 'public' and table_name = ?1 and is_identity = 'YES'";
        for mut column in db.query(identity, params![&table.name])? {
            let (name, column) = (&table.name, column.text(0));
            let text = format!(
                "select setval(pg_get_serial_sequence('\"{name}\"', '{column}'), coalesce(max(\"{column}\"), 0) + 1, false) from \"{name}\""
            );
            db.query(&text, &[])?;
        }
    }
    Ok(())
}
