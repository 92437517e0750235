//! `sluice-worker doctor`: says what would keep the worker from working, and what to do about it.

use worker_api::Register;

use crate::{
    client::{CallError, Slave},
    config::{Config, Home, Mistake},
    smtp::connect::Connector,
};

/// Checks everything that can be checked without work, prints what it finds, and tells whether all is well.
pub async fn doctor(config: Result<Config, Vec<Mistake>>) -> bool {
    let config = match config {
        Ok(config) => config,
        Err(mistakes) => {
            for mistake in mistakes {
                println!("wrong  {mistake}");
            }
            return false;
        }
    };
    println!(
        "ok     the settings are complete; this worker's name is {}",
        config.name
    );
    let mut well = true;
    let mut check = |what: &str, result: Result<String, String>| match result {
        Ok(found) => println!("ok     {what}: {found}"),
        Err(fault) => {
            well = false;
            println!("wrong  {what}: {fault}");
        }
    };
    check("journal", journal(&config));
    check(
        "certificates",
        Connector::new(
            config.extra_ca.as_deref(),
            config.allow_private,
            None,
            config.timeouts,
        )
        .map(|_| "usable".into())
        .map_err(|e| {
            format!("SLUICE_SMTP_CA: {e}; name a PEM file with certificates, or leave it unset")
        }),
    );
    match &config.slave {
        Some(home) => check("slave", slave(home, &config.name).await),
        None => check("slave", Ok("none; only mails of the installation".into())),
    }
    well
}

fn journal(config: &Config) -> Result<String, String> {
    let probe = config.data.join("doctor.tmp");
    let written = std::fs::File::create(&probe).and_then(|file| file.sync_all());
    let removed = std::fs::remove_file(&probe);
    match written.and(removed) {
        Ok(()) => Ok(format!("{} can be written", config.data.display())),
        Err(error) => Err(format!(
            "{} cannot be written ({error}); give this user the right to, or name another folder in SLUICE_WORKER_DATA",
            config.data.display()
        )),
    }
}

async fn slave(home: &Home, name: &str) -> Result<String, String> {
    let slave = Slave::new(&home.url, &home.token).map_err(|e| e.to_string())?;
    let me = Register {
        name: name.to_owned(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    match slave.register(&me).await {
        Ok(_) => {}
        Err(error @ CallError::Unreachable(_)) => {
            return Err(format!(
                "{error}; start the slave, or set SLUICE_SLAVE_URL (now {}) to where it answers",
                home.url
            ));
        }
        Err(error @ (CallError::Status(..) | CallError::Strange(_))) => {
            return Err(format!(
                "{error}; is SLUICE_SLAVE_URL ({}) the address of a Sluice slave?",
                home.url
            ));
        }
        Err(error @ CallError::Unauthorized(_)) => return Err(error.to_string()),
    }
    match slave.profiles(None).await {
        Ok(profiles) => {
            let count = profiles.map_or(0, |listing| listing.profiles.len());
            Ok(format!(
                "{} answers, the token is good, {count} profiles are assigned",
                home.url
            ))
        }
        Err(error) => Err(error.to_string()),
    }
}
