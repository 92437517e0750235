//! `sluice tenant archive` and `restore`: a sub-account to a file, and back from one.

use super::{Master, reason};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const MEDIA: &str = "application/x-ndjson";
/// The last line of an archive is shorter than this, in bytes.
const LAST_LINE: u64 = 256;

fn path(id: &str) -> String {
    format!("/node/v1/subaccounts/{id}/archive")
}

/// Writes a sub-account to a file, which is there only when it is complete.
pub fn write(master: &Master, id: &str, to: &Path) -> Result<()> {
    if to.exists() {
        bail!("{} is there already", to.display());
    }
    let part = PathBuf::from(format!("{}.part", to.display()));
    let rows = fetch(master, id, &part).inspect_err(|_| {
        // What broke off is of no use.
        let _ = fs::remove_file(&part);
    })?;
    fs::rename(&part, to).with_context(|| to.display().to_string())?;
    let bytes = fs::metadata(to)?.len();
    println!("{}: {rows} rows, {bytes} bytes", to.display());
    Ok(())
}

fn fetch(master: &Master, id: &str, part: &Path) -> Result<u64> {
    let file = File::create(part).with_context(|| part.display().to_string())?;
    let mut out = BufWriter::new(file);
    let (status, problem) = master.home_of(id)?.download(&path(id), &mut out)?;
    if status != 200 {
        bail!("the slave answered {status}: {}", reason(&problem));
    }
    out.flush()?;
    out.get_ref().sync_all()?;
    let last = last_line(&mut File::open(part)?)?;
    let rows = last["rows"].as_u64().filter(|_| last["complete"] == true);
    rows.context("the archive broke off; nothing was kept. The slave's log says why")
}

fn last_line(file: &mut File) -> Result<Value> {
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(LAST_LINE)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let line = end.trim_ascii_end().rsplit(|b| *b == b'\n').next();
    Ok(serde_json::from_slice(line.unwrap_or_default()).unwrap_or_default())
}

/// Reads a file into an empty sub-account. What waits in it ends there, or goes on when it is to be kept.
pub fn restore(master: &Master, from: &Path, id: &str, keep_pending: bool) -> Result<()> {
    let file = File::open(from).with_context(|| from.display().to_string())?;
    let pending = if keep_pending { "keep" } else { "cancel" };
    let path = format!("{}?pending={pending}", path(id));
    let (status, answer) = master.home_of(id)?.upload(&path, MEDIA, file)?;
    if status != 200 {
        bail!("the slave answered {status}: {}", reason(&answer));
    }
    println!(
        "{id}: {} rows of {} tables, {} profiles paused, {} requests canceled",
        answer["rows"], answer["tables"], answer["profiles_paused"], answer["requests_canceled"]
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_whether_an_archive_is_complete() {
        let line = |text: &str| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            last_line(&mut file).unwrap()["complete"] == true
        };
        assert!(line("[1]\n{\"complete\":true,\"rows\":1}\n"));
        assert!(!line("{\"complete\":true,\"rows\":1}\n[1]\n"));
        assert!(!line(&format!("[\"{}\"]", "x".repeat(1000))));
        assert!(!line(""));
    }
}
