//! `spin:key-value@3.0.0`, one SQLite file for each label.

use super::InstanceState;
use super::bindings::spin::key_value::key_value::{
    self, Error, Host, HostStore, HostStoreWithStore,
};
use rusqlite::{Connection, OptionalExtension};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wasmtime::component::{Accessor, FutureReader, HasData, Linker, Resource, StreamReader};

/// Adds the capability.
pub fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    key_value::add_to_linker::<_, KeyValue>(linker, |state| state)
}

/// Marks the capability in the linker.
pub struct KeyValue;

impl HasData for KeyValue {
    type Data<'a> = &'a mut InstanceState;
}

/// All key-value stores of the application.
pub struct Stores {
    folder: PathBuf,
    labels: BTreeSet<String>,
    open: Mutex<HashMap<String, Store>>,
}

/// One store; guests hold clones.
#[derive(Clone)]
pub struct Store(Arc<Mutex<Connection>>);

impl Stores {
    /// The stores of `labels` under `folder`, each opened when first used.
    pub fn new<'l>(folder: &Path, labels: impl Iterator<Item = &'l str>) -> Self {
        let labels = labels.map(str::to_owned).collect();
        Self {
            folder: folder.to_owned(),
            labels,
            open: Mutex::default(),
        }
    }

    /// Opens a store.
    pub fn open(&self, label: &str) -> Result<Store, Error> {
        if !self.labels.contains(label) {
            return Err(Error::NoSuchStore);
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(label) {
            return Ok(store.clone());
        }
        let store = Store::at(&self.folder, label).map_err(other)?;
        open.insert(label.to_owned(), store.clone());
        Ok(store)
    }
}

impl Store {
    fn at(folder: &Path, label: &str) -> rusqlite::Result<Self> {
        // Opening reports what is wrong with the folder in a better sentence.
        let _ = std::fs::create_dir_all(folder);
        let connection = Connection::open(folder.join(format!("{label}.db")))?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE IF NOT EXISTS entry (
                 key TEXT PRIMARY KEY, value BLOB NOT NULL
             ) STRICT, WITHOUT ROWID;",
        )?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        work(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).map_err(other)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.with(|c| {
            let mut statement = c.prepare_cached("SELECT value FROM entry WHERE key = ?1")?;
            statement.query_row([key], |row| row.get(0)).optional()
        })
    }

    /// Sets a key, replacing its value.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        let sql = "INSERT INTO entry (key, value) VALUES (?1, ?2)
                   ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.with(|c| c.prepare_cached(sql)?.execute((key, value)).map(drop))
    }

    /// Removes a key, if it is there.
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        let sql = "DELETE FROM entry WHERE key = ?1";
        self.with(|c| c.prepare_cached(sql)?.execute([key]).map(drop))
    }

    /// Every key.
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        self.with(|c| {
            let mut statement = c.prepare_cached("SELECT key FROM entry ORDER BY key")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }
}

fn other(error: rusqlite::Error) -> Error {
    Error::Other(error.to_string())
}

impl Host for &mut InstanceState {}

impl HostStore for &mut InstanceState {
    fn drop(&mut self, this: Resource<Store>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

type Access = Accessor<InstanceState, KeyValue>;

fn store(access: &Access, this: &Resource<Store>) -> wasmtime::Result<Store> {
    access.with(|mut access| Ok(access.get().table.get(this)?.clone()))
}

impl HostStoreWithStore<InstanceState> for KeyValue {
    async fn open(
        access: &Access,
        label: String,
    ) -> wasmtime::Result<Result<Resource<Store>, Error>> {
        access.with(|mut access| {
            let state = access.get();
            if !state.grants.config.key_value.contains(&label) {
                return Ok(Err(Error::AccessDenied));
            }
            match state.grants.stores.open(&label) {
                Ok(store) => Ok(Ok(state.table.push(store)?)),
                Err(error) => Ok(Err(error)),
            }
        })
    }

    async fn get(
        access: &Access,
        this: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        Ok(store(access, &this)?.get(&key))
    }

    async fn set(
        access: &Access,
        this: Resource<Store>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        Ok(store(access, &this)?.set(&key, &value))
    }

    async fn delete(
        access: &Access,
        this: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        Ok(store(access, &this)?.delete(&key))
    }

    async fn exists(
        access: &Access,
        this: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        Ok(store(access, &this)?.get(&key).map(|value| value.is_some()))
    }

    async fn get_keys(
        access: &Access,
        this: Resource<Store>,
    ) -> wasmtime::Result<(StreamReader<String>, FutureReader<Result<(), Error>>)> {
        let (keys, result) = match store(access, &this)?.keys() {
            Ok(keys) => (keys, Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        access.with(|mut access| {
            let keys = StreamReader::new(&mut access, keys)?;
            let end = async move { wasmtime::error::Ok(result) };
            Ok((keys, FutureReader::new(&mut access, end)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_keeps_values_and_only_known_labels_open() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Stores::new(folder.path(), ["default"].into_iter());
        assert!(matches!(stores.open("other"), Err(Error::NoSuchStore)));
        let store = stores.open("default").unwrap();
        assert_eq!(store.get("a").unwrap(), None);
        store.set("a", b"1").unwrap();
        store.set("a", b"2").unwrap();
        assert_eq!(
            stores.open("default").unwrap().get("a").unwrap().unwrap(),
            b"2"
        );
        assert_eq!(store.keys().unwrap(), ["a"]);
        store.delete("a").unwrap();
        assert_eq!(store.get("a").unwrap(), None);
    }
}
