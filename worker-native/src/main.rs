//! The `sluice-worker` daemon.

use std::{env, io, process::ExitCode, thread};

use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use worker_native::{
    config::{Config, HELP, Mistake},
    doctor,
    join::{self, Arguments},
    run,
};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let command = arguments.next();
    if command.as_deref() == Some("join") {
        return join(arguments);
    }
    if let Some(extra) = arguments.next() {
        eprintln!("{extra:?} is one argument too many; see sluice-worker --help");
        return ExitCode::from(2);
    }
    match command.as_deref() {
        None => work(),
        Some("doctor") => examine(),
        Some("check") => check(),
        Some("--version" | "-V") => {
            println!("sluice-worker {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some("--help" | "-h" | "help") => {
            println!(
                "sluice-worker            work until SIGTERM or SIGINT\n\
                 sluice-worker doctor     check the settings and the slave\n\
                 sluice-worker check      check the settings alone\n\
                 sluice-worker join --master URL --token TOKEN [--slave URL] [--data DIR]\n\
                 \x20                        become a worker that the master knows, with a token\n\
                 \x20                        from `sluice node add --kind worker`, here or in\n\
                 \x20                        SLUICE_JOIN_TOKEN\n\
                 sluice-worker --version\n\nEnvironment:\n{HELP}"
            );
            ExitCode::SUCCESS
        }
        Some(other) => {
            eprintln!("{other:?} is not a command; see sluice-worker --help");
            ExitCode::from(2)
        }
    }
}

fn join(arguments: impl Iterator<Item = String>) -> ExitCode {
    match Arguments::parse(arguments, |name| env::var(name).ok()) {
        Ok(arguments) => finish(|| async move {
            println!("{}", join::join(&arguments).await?);
            Ok(())
        }),
        Err(mistake) => {
            eprintln!("{mistake}; see sluice-worker --help");
            ExitCode::from(2)
        }
    }
}

fn check() -> ExitCode {
    read_config().map_or_else(refuse, |_| ExitCode::SUCCESS)
}

fn refuse(mistakes: Vec<Mistake>) -> ExitCode {
    for mistake in mistakes {
        eprintln!("{mistake}");
    }
    ExitCode::from(2)
}

fn work() -> ExitCode {
    let config = match read_config() {
        Ok(config) => config,
        Err(mistakes) => return refuse(mistakes),
    };
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(config.log)
        .with_ansi(false)
        .init();
    let supervised = config.supervised;
    finish(|| async move {
        let stop = stop(supervised)?;
        run::run(config, stop).await
    })
}

fn examine() -> ExitCode {
    finish(|| async {
        anyhow::ensure!(doctor::doctor(read_config()).await, "something is wrong");
        Ok(())
    })
}

fn read_config() -> Result<Config, Vec<Mistake>> {
    Config::read(|name| env::var(name).ok())
}

/// Runs `main` on this thread. What still blocks at its end, such as a name that is looked up, is not waited for.
fn finish<F: Future<Output = anyhow::Result<()>>>(main: impl FnOnce() -> F) -> ExitCode {
    let runtime = match Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the runtime did not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async { main().await });
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sluice-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Done, with the reason, when the worker shall stop.
fn stop(supervised: bool) -> io::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (ended, end) = oneshot::channel::<()>();
    if supervised {
        thread::Builder::new()
            .name("stdin".into())
            .stack_size(64 * 1024)
            .spawn(move || {
                let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
                let _ = ended.send(());
            })?;
    } else {
        // The channel must stay open for ever.
        std::mem::forget(ended);
    }
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            _ = end => "the supervisor is gone",
        }
    })
}
