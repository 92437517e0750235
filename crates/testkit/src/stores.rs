//! The databases of a node, and users of them that die in the middle of their work.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{LazyLock, Mutex, PoisonError};

use store::{Db, Engine, Error, Open, Place, Result, Row, Value};
use store_native::Sqlite;

use crate::postgres::{Kind, Scratch};

/// Databases by place, made when they are first opened. By default they are of [`crate::engine`].
pub struct Stores {
    engine: Engine,
    databases: RefCell<HashMap<Place, Rc<dyn Db>>>,
    life: Rc<Life>,
}

impl Default for Stores {
    fn default() -> Self {
        Stores::on(crate::engine())
    }
}

#[derive(Default)]
struct Life {
    /// Statements until death; none is for ever.
    left: Cell<Option<u64>>,
    dead: Cell<bool>,
}

impl Life {
    fn spend(&self) -> Result<()> {
        match self.left.get() {
            Some(0) => self.dead.set(true),
            left => self.left.set(left.map(|left| left - 1)),
        }
        match self.dead.get() {
            true => Err(Error::Other("the instance is dead".to_owned())),
            false => Ok(()),
        }
    }
}

impl Stores {
    /// Databases of an engine.
    pub fn on(engine: Engine) -> Stores {
        Stores {
            engine,
            databases: RefCell::default(),
            life: Rc::default(),
        }
    }

    /// Whoever uses the databases lives through so many statements; the next one and all after it fail.
    pub fn die_after(&self, statements: u64) {
        self.life.left.set(Some(statements));
    }

    /// A new instance takes over: what was not committed is rolled back, as the host does. Says whether the last died.
    pub fn revive(&self) -> bool {
        for db in self.databases.borrow().values() {
            // Fails where no transaction is open, which is as good.
            let _ = db.execute("rollback", &[]);
        }
        self.life.left.set(None);
        self.life.dead.replace(false)
    }
}

impl Stores {
    /// PostgreSQL's come with their schema, because making it takes a while; bringing them up to date is then no work.
    fn make(&self, place: &Place) -> Rc<dyn Db> {
        match (self.engine, place) {
            (Engine::Sqlite, _) => Rc::new(Sqlite::in_memory().expect("SQLite opens in memory")),
            (Engine::Postgres, place) => Rc::new(Scratch::new(kind(place))),
        }
    }
}

impl Open for Stores {
    fn open(&self, place: &Place) -> Result<Box<dyn Db>> {
        let mut databases = self.databases.borrow_mut();
        let db = match databases.get(place) {
            Some(db) => Rc::clone(db),
            None => {
                let db = self.make(place);
                databases.insert(place.clone(), Rc::clone(&db));
                db
            }
        };
        let life = Rc::clone(&self.life);
        Ok(Box::new(Connection { db, life }))
    }
}

struct Connection {
    db: Rc<dyn Db>,
    life: Rc<Life>,
}

impl Db for Connection {
    fn engine(&self) -> Engine {
        self.db.engine()
    }

    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
        self.life.spend()?;
        self.db.query(sql, params)
    }

    fn execute(&self, sql: &str, params: &[Value]) -> Result<u64> {
        self.life.spend()?;
        self.db.execute(sql, params)
    }
}

fn kind(place: &Place) -> Kind {
    match place {
        Place::Master => Kind::Master,
        Place::Control => Kind::Slave,
        Place::Slot(_) | Place::Database(_) => Kind::Tenant,
    }
}

/// A new connection to a database of the node that lives in a folder: a file in it, or a database of
/// [`crate::engine`]'s server that belongs to this folder and place until the process ends.
///
/// # Errors
/// When it cannot be opened.
pub fn open_in(folder: &Path, place: &Place) -> Result<Box<dyn Db>> {
    type Databases = Mutex<HashMap<(PathBuf, Place), Scratch>>;
    static DATABASES: LazyLock<Databases> = LazyLock::new(Databases::default);
    if crate::engine() == Engine::Sqlite {
        let file = folder.join(format!("{}.db", place.label()));
        return Ok(Box::new(Sqlite::open(&file)?));
    }
    let mut databases = DATABASES.lock().unwrap_or_else(PoisonError::into_inner);
    let of_place = databases
        .entry((folder.to_owned(), place.clone()))
        .or_insert_with(|| Scratch::new(kind(place)));
    Ok(Box::new(of_place.again()))
}
