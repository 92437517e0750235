//! Finds a home on a slave for every requested sub-account.

mod put;

use glue::{Labels, now};
use stages::allocate;
use web::{Config, context::random_text};

glue::scheduled!(run);

fn run(config: &Config) -> Result<String, String> {
    let ask = |id: &str, placement: &allocate::Placement| put::subaccount(config, id, placement);
    let placed = allocate::run(&Labels, &random_text(12), &now, &ask).map_err(|e| e.to_string())?;
    Ok(format!("{placed} sub-accounts looked at"))
}
