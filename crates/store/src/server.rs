//! The PostgreSQL server on which tenants have databases of their own: each with a role that can log in there and
//! nowhere else.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::params;
use crate::port::{Db, Error, Result};
use crate::scram;

/// A connection to the server as somebody who may make databases and roles.
pub struct Server {
    /// The connection, to a database that belongs to no tenant.
    pub admin: Box<dyn Db>,
    /// The password of a database's role, by the database's name.
    pub password: Box<dyn Fn(&str) -> String>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

/// The name of a tenant's database and of its role: `t_` and the 32 digits of its UUID.
///
/// # Errors
/// When the id is no UUID: it would become part of a statement.
pub fn database_of(id: &str) -> Result<String> {
    let digits: String = id.chars().filter(|c| *c != '-').collect();
    let name = format!("t_{}", digits.to_ascii_lowercase());
    check(&name).map(|()| name)
}

/// Refuses what is not the name of a tenant's database. Names and passwords cannot be parameters of a statement, so
/// nothing else may come near one.
///
/// # Errors
/// When it is none.
pub fn check(name: &str) -> Result<()> {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    match name.strip_prefix("t_") {
        Some(digits) if digits.len() == 32 && digits.bytes().all(hex) => Ok(()),
        _ => Err(Error::Other(format!("{name:?} is no tenant's database"))),
    }
}

/// What a tenant's role may do to others: a transaction that it leaves open ends by itself, and it does not wait for
/// ever. In milliseconds.
const LIMITS: [(&str, u32); 2] = [
    ("idle_in_transaction_session_timeout", 15_000),
    ("lock_timeout", 5_000),
];

impl Server {
    /// Makes a tenant's role and database. Every step may be repeated, so one that was interrupted is done again.
    ///
    /// # Errors
    /// When the administrator may not, or the server does not answer. What was made stays, and is used the next time.
    pub fn create(&self, name: &str) -> Result<()> {
        check(name)?;
        if self.accepts_connections(name)? {
            return Ok(());
        }
        self.create_role(name)?;
        let exists = "select 1 from pg_database where datname = ?1";
        if self.admin.query(exists, params![name])?.is_empty() {
            // Nobody gets in before the door is shut to all but the owner.
            let create = format!(
                "create database {name} owner {name} template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C' \
                 allow_connections false"
            );
            already_there(self.admin.execute(&create, &[]))?;
        }
        self.run(&format!("revoke all on database {name} from public"))?;
        self.close_others(name)?;
        self.run(&format!("alter database {name} allow_connections true"))
    }

    /// Takes from everybody what PostgreSQL gives to everybody: to connect to the databases that a server begins with.
    /// Databases that others made are left alone.
    fn close_others(&self, name: &str) -> Result<()> {
        let open = "select cast(datname as text) from pg_database \
             where datname in ('postgres', 'template1', current_database()) and has_database_privilege(?1, oid, 'connect')";
        for mut other in self.admin.query(open, params![name])? {
            let other = other.text(0).replace('"', "\"\"");
            self.run(&format!(
                "revoke connect on database \"{other}\" from public"
            ))?;
        }
        Ok(())
    }

    /// Whether a database is there and finished.
    fn accepts_connections(&self, name: &str) -> Result<bool> {
        let finished = "select 1 from pg_database where datname = ?1 and datallowconn";
        Ok(!self.admin.query(finished, params![name])?.is_empty())
    }

    fn create_role(&self, name: &str) -> Result<()> {
        let password = (self.password)(name);
        if !password.is_ascii() {
            return Err(Error::Other("a password must be ASCII".into()));
        }
        // Nobody guesses such a password, so a salt that can be foreseen gives nothing away.
        let verifier = scram::verifier(&password, &Sha256::digest(name)[..16]);
        let exists = "select 1 from pg_roles where rolname = ?1";
        if self.admin.query(exists, params![name])?.is_empty() {
            already_there(self.admin.execute(&format!("create role {name}"), &[]))?;
        }
        // A new role may do nothing else; saying so again is for superusers alone.
        self.run(&format!("alter role {name} login password '{verifier}'"))?;
        for (setting, value) in LIMITS {
            self.run(&format!("alter role {name} set {setting} = {value}"))?;
        }
        // A database is given to a role only by somebody who is a member of it.
        let superuser = "select 1 from pg_roles where rolname = current_user and rolsuper";
        match self.admin.query(superuser, &[])?.is_empty() {
            true => self.run(&format!("grant {name} to current_user")),
            false => Ok(()),
        }
    }

    /// Drops a tenant's database and role for good, whoever is still connected. Doing it again changes nothing.
    ///
    /// # Errors
    /// When the administrator may not, or the server does not answer.
    pub fn destroy(&self, name: &str) -> Result<()> {
        check(name)?;
        self.run(&format!("drop database if exists {name} with (force)"))?;
        self.run(&format!("drop role if exists {name}"))
    }

    fn run(&self, statement: &str) -> Result<()> {
        self.admin.execute(statement, &[]).map(|_| ())
    }
}

/// Somebody else made it in this moment.
fn already_there(made: Result<u64>) -> Result<()> {
    match made {
        Ok(_) | Err(Error::Constraint(_)) => Ok(()),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_uuid_names_a_database() {
        assert_eq!(
            database_of("019351A0-0000-7000-8000-00000000000b").as_deref(),
            Ok("t_019351a000007000800000000000000b")
        );
        for wrong in [
            "",
            "x",
            "t_1",
            "019351a0-0000-7000-8000-00000000000b; drop",
            "postgres",
        ] {
            assert!(database_of(wrong).is_err(), "{wrong}");
        }
    }
}
