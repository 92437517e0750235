//! WASI 0.2 and 0.3: clocks, randomness, environment and standard streams; no files, no sockets.

use super::{InstanceState, stdio::LogStream};
use crate::config::ComponentConfig;
use wasmtime::component::Linker;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// The WASI context of a fresh instance.
pub fn context(config: &ComponentConfig) -> WasiCtx {
    let mut builder = WasiCtx::builder();
    builder.stdout(LogStream::new(&config.name, "stdout"));
    builder.stderr(LogStream::new(&config.name, "stderr"));
    for (name, value) in &config.environment {
        builder.env(name, value);
    }
    builder.build()
}

/// Adds WASI; opening files and sockets is there, as the standard library imports it, and denied.
pub fn link(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)
}

impl WasiView for InstanceState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
