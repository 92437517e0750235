//! The databases of a node in memory, and users of them that die in the middle of their work.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use store::{Db, Error, Open, Result, Row, Value};
use store_native::Sqlite;

/// Databases by label, made when they are first opened.
#[derive(Default)]
pub struct Stores {
    databases: RefCell<HashMap<String, Rc<Sqlite>>>,
    life: Rc<Life>,
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

impl Open for Stores {
    fn open(&self, label: &str) -> Result<Box<dyn Db>> {
        let mut databases = self.databases.borrow_mut();
        let db = match databases.get(label) {
            Some(db) => Rc::clone(db),
            None => {
                let db = Rc::new(Sqlite::in_memory()?);
                databases.insert(label.to_owned(), Rc::clone(&db));
                db
            }
        };
        let life = Rc::clone(&self.life);
        Ok(Box::new(Connection { db, life }))
    }
}

struct Connection {
    db: Rc<Sqlite>,
    life: Rc<Life>,
}

impl Db for Connection {
    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
        self.life.spend()?;
        self.db.query(sql, params)
    }

    fn execute(&self, sql: &str, params: &[Value]) -> Result<u64> {
        self.life.spend()?;
        self.db.execute(sql, params)
    }
}
