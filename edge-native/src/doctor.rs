//! `sluice doctor`: the same look at everything that `up` takes, without serving.

use crate::cli::Up;
use crate::config::fault::Faults;
use crate::{databases, load, start};
use anyhow::Result;

/// Says what is wrong, and how to mend it; or that nothing is.
pub fn run(options: &Up) -> Result<()> {
    let mut faults = Faults::default();
    let prepared = start::prepare(options, &mut faults);
    faults.into_result()?;
    let Some(prepared) = prepared else {
        return Ok(());
    };
    let app = &prepared.shared.app;
    println!("manifest    {} ({})", options.manifest.display(), app.name);
    println!("components  {}", app.components.len());
    println!("routes      {}", app.routes.iter().count());
    println!("schedules   {}", app.crons.len());
    println!("data        {} is writable", options.data.display());
    println!("listen      {} is free", prepared.listener.local_addr()?);
    println!("admin       {} is free", prepared.admin.local_addr()?);
    match &prepared.worker {
        Some(worker) => println!("worker      {}", worker.program.display()),
        None => println!("worker      none asked for"),
    }
    let mut faults = Faults::default();
    let roots = load::roots(&options.limits, &mut faults);
    let databases = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(databases::look(&app.components, &roots));
    let mut silent = 0;
    for (name, answer) in databases {
        match answer {
            Ok(()) => println!("database    {name} answers"),
            Err(reason) => {
                silent += 1;
                println!("database    {name} does not answer: {reason}");
            }
        }
    }
    anyhow::ensure!(
        silent == 0,
        "not all databases answer: start them, or mend their variables"
    );
    println!("all is well");
    Ok(())
}
