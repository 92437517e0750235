//! Compiled code kept on disk, so that a second start does not compile.

use super::EngineLimits;
use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Loads a component, from the cache when its very bytes were compiled by this very engine. A missing
/// or damaged entry is compiled by a process of its own, whose memory goes with it.
pub fn load(
    engine: &Engine,
    limits: EngineLimits,
    source: &Path,
    cache: &Path,
) -> Result<Component> {
    let entry = cache.join(entry_name(engine, source)?);
    if let Some(component) = read(engine, &entry) {
        return Ok(component);
    }
    let started = Instant::now();
    if let Err(error) = compile_apart(limits, source, cache) {
        tracing::debug!("compiling in a process of its own failed: {error:#}");
    }
    let component = match read(engine, &entry) {
        Some(component) => component,
        None => compile(engine, source, cache)?,
    };
    tracing::info!(source = %source.display(), ms = started.elapsed().as_millis(), "compiled");
    Ok(component)
}

/// Compiles a component here and keeps the code in the cache.
pub fn compile(engine: &Engine, source: &Path, cache: &Path) -> Result<Component> {
    let component = Component::from_file(engine, source)
        .map_err(anyhow::Error::from)
        .with_context(|| format!("{} is not a WebAssembly component", source.display()))?;
    let entry = cache.join(entry_name(engine, source)?);
    if let Err(error) = write(&component, &entry) {
        tracing::warn!(%error, entry = %entry.display(), "compiled code was not cached");
    }
    Ok(component)
}

fn compile_apart(limits: EngineLimits, source: &Path, cache: &Path) -> Result<()> {
    let status = Command::new(std::env::current_exe()?)
        .arg("compile")
        .args([source, cache])
        .args([limits.memory.to_string(), limits.instances.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// Content and everything about the engine that compiled code depends on.
fn entry_name(engine: &Engine, source: &Path) -> Result<String> {
    struct Digesting(Sha256);
    impl Hasher for Digesting {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut hasher = Digesting(digest_file(source)?);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    Ok(hex(&hasher.0.finalize()) + ".cwasm")
}

/// The digest of a file, read in pieces: start-up must not leave megabytes behind.
fn digest_file(path: &Path) -> Result<Sha256> {
    let mut file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let mut digest = Sha256::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(digest),
            read => digest.update(&piece[..read]),
        }
    }
}

/// An entry is the SHA-256 of its code in a file beside it; a code file that does not fit its
/// checksum is not trusted, since loading it means running it.
fn read(engine: &Engine, entry: &Path) -> Option<Component> {
    let expected = std::fs::read_to_string(checksum_path(entry)).ok()?;
    if hex(&digest_file(entry).ok()?.finalize()) != expected {
        tracing::warn!(entry = %entry.display(), "damaged compiled code is made again");
        return None;
    }
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
