//! Compiled code kept on disk, so that a second start does not compile.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Loads a component, from the cache when its very bytes were compiled by this very engine.
/// A damaged entry is compiled again.
pub fn load(engine: &Engine, source: &Path, cache: &Path) -> Result<Component> {
    let wasm = std::fs::read(source).with_context(|| format!("reading {}", source.display()))?;
    let entry = cache.join(entry_name(engine, &wasm));
    if let Some(component) = read(engine, &entry) {
        return Ok(component);
    }
    let started = std::time::Instant::now();
    let component = Component::new(engine, &wasm)
        .map_err(anyhow::Error::from)
        .with_context(|| format!("{} is not a WebAssembly component", source.display()))?;
    tracing::info!(source = %source.display(), ms = started.elapsed().as_millis(), "compiled");
    if let Err(error) = write(&component, &entry) {
        tracing::warn!(%error, entry = %entry.display(), "compiled code was not cached");
    }
    Ok(component)
}

/// Content and everything about the engine that compiled code depends on.
fn entry_name(engine: &Engine, wasm: &[u8]) -> String {
    struct Digesting(Sha256);
    impl Hasher for Digesting {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut hasher = Digesting(Sha256::new());
    hasher.0.update(wasm);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hex(&hasher.0.finalize()) + ".cwasm"
}

/// An entry is the SHA-256 of its code in a file beside it; a code file that does not fit its
/// checksum is not trusted, since loading it means running it.
fn read(engine: &Engine, entry: &Path) -> Option<Component> {
    let expected = std::fs::read_to_string(checksum_path(entry)).ok()?;
    let code = std::fs::read(entry).ok()?;
    if hex(&Sha256::digest(&code)) != expected {
        tracing::warn!(entry = %entry.display(), "damaged compiled code is made again");
        return None;
    }
    drop(code);
    // SAFETY: the file was written by `write` below in the host's own data folder and its content
    // still has the checksum recorded then; wasmtime itself checks version and configuration.
    #[allow(unsafe_code)]
    let loaded = unsafe { Component::deserialize_file(engine, entry) };
    loaded
        .map_err(|error| tracing::warn!(%error, "compiled code is made again"))
        .ok()
}

fn write(component: &Component, entry: &Path) -> Result<()> {
    let code = component.serialize()?;
    let folder = entry.parent().context("the cache has no folder")?;
    std::fs::create_dir_all(folder)?;
    replace(entry, &code)?;
    replace(
        &checksum_path(entry),
        hex(&Sha256::digest(&code)).as_bytes(),
    )
}

/// Writes beside the file and renames, so that a crash leaves the old file or the new one.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let fresh = path.with_extension(format!("new{}", std::process::id()));
    std::fs::write(&fresh, content)?;
    Ok(std::fs::rename(&fresh, path)?)
}

fn checksum_path(entry: &Path) -> PathBuf {
    entry.with_extension("sha256")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
