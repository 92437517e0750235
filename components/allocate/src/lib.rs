//! Finds a home on a slave for every requested sub-account, and takes care of it for its whole life.

mod ask;

use glue::{Labels, now};
use stages::allocate::{self, Call, Tick};
use web::{Config, context::random_text};

glue::scheduled!(run);

fn run(config: &Config) -> Result<String, String> {
    let ask = |calls: &[Call]| ask::all(config, calls);
    let tick = Tick {
        stores: &Labels,
        clock: &now,
        token: random_text(12),
        local: !config.slave_url.is_empty(),
        ask: &ask,
    };
    let calls = allocate::run(&tick).map_err(|e| e.to_string())?;
    Ok(format!("{calls} calls of nodes"))
}
