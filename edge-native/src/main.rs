//! `sluice`: the embedded host. It reads the same `spin.toml` as Spin does, serves its components,
//! fires its schedules and supervises a local worker.

mod acme;
mod admin;
mod cli;
mod config;
mod data;
mod databases;
mod demo;
mod doctor;
mod engine;
mod host;
mod load;
mod mail_page;
mod metrics;
mod operator;
mod schedule;
mod serve;
mod start;
mod status;
mod text_server;
mod tls;
mod up;
mod worker;
mod world;

use clap::Parser;
use cli::{Cli, Command, LogFormat};
use std::process::ExitCode;
use tracing_subscriber::filter::LevelFilter;

/// Requests allocate small things and free them on the same thread; mimalloc is made for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Up(options) => {
            start_logging(options.log_format, options.log_level);
            up::run(options)
        }
        Command::Doctor(options) => doctor::run(options),
        Command::Node { at, command } => operator::node::run(at, command),
        Command::Tenant { at, command } => operator::tenant::run(at, command),
        Command::Person { at, command } => operator::person::run(at, command),
        Command::Migrate(options) => operator::migrate::run(options),
        Command::Join(options) => operator::join::run(options),
        Command::Compile(arguments) => compile(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sluice: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn compile(arguments: &cli::Compile) -> anyhow::Result<()> {
    let cli::Compile {
        source,
        cache,
        memory,
        instances,
    } = arguments;
    let limits = engine::EngineLimits {
        memory: *memory,
        instances: *instances,
    };
    engine::cache::compile(&engine::new(limits)?, source, cache).map(drop)
}

fn start_logging(format: LogFormat, level: tracing::Level) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::from_level(level))
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}
