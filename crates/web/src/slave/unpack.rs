//! Unpacks an upload while it arrives: gzip, and a ZIP archive with one file in it, beside which what macOS adds of its
//! own is passed over. Anything else passes as it is.

use std::io::Write;

use flate2::write::{DeflateDecoder, MultiGzDecoder};

use crate::http::Problem;

/// Packed bytes that are unpacked at once: what comes of them is a thousand times as much at worst.
const STEP: usize = 4 * 1024;
/// The longest head of a file in a ZIP archive, in bytes.
const HEAD_MAX: usize = 30 + 2 * 65_535;
/// The folder in which macOS packs what it knows of a file.
const MACOS: &[u8] = b"__MACOSX/";
/// The most that macOS may know of a file that comes after it, in bytes.
const MACOS_MAX: usize = 1024 * 1024;

/// What the beginning of an upload turned out to be.
#[derive(Debug)]
pub enum Unpack {
    /// Too little has arrived to tell.
    Unknown(Vec<u8>),
    /// Not packed.
    Plain,
    /// One or more gzip members.
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    /// The file of a ZIP archive, packed.
    Deflated(Box<DeflateDecoder<Vec<u8>>>),
    /// The file of a ZIP archive as it is, and how many bytes of it are to come.
    Stored(u64),
    /// What comes after the file of a ZIP archive, from the first byte that is not understood yet.
    Tail(Vec<u8>),
}

fn broken() -> Problem {
    Problem::new(422, "The archive is broken")
        .detail("It cannot be unpacked, and nothing of it was imported. Pack the file again, or upload it as it is.")
}

impl Default for Unpack {
    fn default() -> Self {
        Unpack::Unknown(Vec::new())
    }
}

impl Unpack {
    /// Takes the next bytes and gives what they stand for, piece by piece, to `each` until that says stop.
    ///
    /// # Errors
    /// 422 when an archive is broken or holds something else than one file; what `each` says.
    pub fn push(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<bool, Problem>,
    ) -> Result<bool, Problem> {
        for step in bytes.chunks(STEP) {
            if !self.step(step, &mut each)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn step(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(&[u8]) -> Result<bool, Problem>,
    ) -> Result<bool, Problem> {
        match self {
            Unpack::Unknown(head) => {
                head.extend_from_slice(bytes);
                let head = std::mem::take(head);
                self.begin(head, each)
            }
            Unpack::Plain => each(bytes),
            Unpack::Gzip(gzip) => {
                gzip.write_all(bytes).map_err(|_| broken())?;
                each(&std::mem::take(gzip.get_mut()))
            }
            Unpack::Deflated(deflated) => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let used = deflated.write(rest).map_err(|_| broken())?;
                    rest = &rest[used..];
                    if used == 0 {
                        break;
                    }
                }
                deflated.flush().map_err(|_| broken())?;
                let more = each(&std::mem::take(deflated.get_mut()))?;
                if !rest.is_empty() {
                    *self = Unpack::Tail(Vec::new());
                    return Ok(more && self.step(rest, each)?);
                }
                Ok(more)
            }
            Unpack::Stored(left) => {
                let here = bytes
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= here as u64;
                let more = each(&bytes[..here])?;
                if here < bytes.len() {
                    *self = Unpack::Tail(Vec::new());
                    return Ok(more && self.step(&bytes[here..], each)?);
                }
                Ok(more)
            }
            Unpack::Tail(tail) => {
                if tail.starts_with(DIRECTORY) {
                    return Ok(true);
                }
                tail.extend_from_slice(bytes);
                match next(tail) {
                    Next::File(_) => Err(Problem::new(422, "The archive holds several files")
                        .detail(
                            "Nothing was imported. Upload the files one by one, or pack one alone.",
                        )),
                    Next::Directory => {
                        *tail = DIRECTORY.to_vec();
                        Ok(true)
                    }
                    Next::Later(read) => {
                        tail.drain(..read);
                        Ok(true)
                    }
                }
            }
        }
    }

    fn begin(
        &mut self,
        head: Vec<u8>,
        each: &mut dyn FnMut(&[u8]) -> Result<bool, Problem>,
    ) -> Result<bool, Problem> {
        let rest = match &head[..] {
            [0x1f, 0x8b, _, ..] => {
                *self = Unpack::Gzip(Box::new(MultiGzDecoder::new(Vec::new())));
                0
            }
            _ if head.starts_with(FILE) => match first_file(&head)? {
                Some((state, length)) => {
                    *self = state;
                    length
                }
                None => {
                    *self = Unpack::Unknown(head);
                    return Ok(true);
                }
            },
            _ if head.len() < 4 => {
                *self = Unpack::Unknown(head);
                return Ok(true);
            }
            _ => {
                *self = Unpack::Plain;
                0
            }
        };
        self.push(&head[rest..], |piece| each(piece))
    }

    /// The upload has ended. Gives what was held back.
    ///
    /// # Errors
    /// 422 when an archive broke off.
    pub fn finish(&mut self) -> Result<Vec<u8>, Problem> {
        match self {
            Unpack::Unknown(head) if head.starts_with(FILE) => Err(broken()),
            Unpack::Unknown(head) => Ok(std::mem::take(head)),
            Unpack::Gzip(gzip) => {
                gzip.try_finish().map_err(|_| broken())?;
                Ok(std::mem::take(gzip.get_mut()))
            }
            Unpack::Plain | Unpack::Tail(_) => Ok(Vec::new()),
            Unpack::Deflated(_) | Unpack::Stored(_) => Err(broken()),
        }
    }
}

/// What the head of a file in a ZIP archive begins with.
const FILE: &[u8] = b"PK\x03\x04";
/// What the directory at the end of a ZIP archive begins with.
const DIRECTORY: &[u8] = b"PK\x01\x02";

/// What comes next in a ZIP archive.
enum Next {
    /// A file, and where its head begins.
    File(usize),
    /// The end of the files.
    Directory,
    /// That cannot be told yet; so many bytes need not be looked at again.
    Later(usize),
}

/// Looks for the next file that is not one of macOS's own.
fn next(bytes: &[u8]) -> Next {
    for (at, sign) in bytes.windows(4).enumerate() {
        let name = &bytes[bytes.len().min(at + 30)..];
        match sign {
            sign if sign == DIRECTORY => return Next::Directory,
            sign if sign != FILE => {}
            _ if name.starts_with(MACOS) => {}
            // No more of the name than differs is waited for: it may be shorter than the folder's.
            _ if MACOS.starts_with(name) => return Next::Later(at),
            _ => return Next::File(at),
        }
    }
    Next::Later(bytes.len().saturating_sub(3))
}

/// How the first file of an archive goes on, and where it begins. None when too little has arrived.
fn first_file(head: &[u8]) -> Result<Option<(Unpack, usize)>, Problem> {
    match next(head) {
        Next::File(at) => Ok(zip_head(&head[at..])?.map(|(state, length)| (state, at + length))),
        Next::Later(_) if head.len() <= MACOS_MAX => Ok(None),
        Next::Directory | Next::Later(_) => Err(broken()),
    }
}

/// Reads the head of the first file in a ZIP archive (APPNOTE 4.3.7): how to go on, and how long the head is. None when
/// it has not arrived yet.
fn zip_head(head: &[u8]) -> Result<Option<(Unpack, usize)>, Problem> {
    let word = |at: usize| {
        head.get(at..at + 2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
    };
    let (Some(flags), Some(method), Some(name), Some(extra)) =
        (word(6), word(8), word(26), word(28))
    else {
        return Ok(None);
    };
    let length = 30 + usize::from(name) + usize::from(extra);
    if head.len() < length {
        return match head.len() > HEAD_MAX {
            true => Err(broken()),
            false => Ok(None),
        };
    }
    let name = String::from_utf8_lossy(&head[30..30 + usize::from(name)]);
    let size = u32::from_le_bytes([head[18], head[19], head[20], head[21]]);
    let refuse = |detail: &str| Err(Problem::new(422, "The archive cannot be used").detail(detail));
    match (flags, method) {
        _ if name == "[Content_Types].xml"
            || name.starts_with("xl/")
            || name.starts_with("_rels/") =>
        {
            refuse(
                "This is an Excel workbook. Save it as CSV (UTF-8) and upload that; nothing was imported.",
            )
        }
        _ if name.ends_with('/') => {
            refuse("It begins with a folder. Pack the file alone; nothing was imported.")
        }
        (flags, _) if flags & 1 != 0 => {
            refuse("It is locked with a password. Pack the file without one; nothing was imported.")
        }
        (_, 8) => Ok(Some((
            Unpack::Deflated(Box::new(DeflateDecoder::new(Vec::new()))),
            length,
        ))),
        // How much it is must be said before.
        (flags, 0) if flags & 8 == 0 && size != u32::MAX => {
            Ok(Some((Unpack::Stored(u64::from(size)), length)))
        }
        _ => refuse(
            "It is packed in an unusual way. Pack the file again, or upload it as it is; nothing was imported.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text).expect("kept");
        packed.finish().expect("packed")
    }

    /// An archive of files, packed or not, with the beginning of a directory after them.
    fn zip(files: &[(&str, &[u8])], packed: bool) -> Vec<u8> {
        let mut archive = Vec::new();
        for (name, text) in files {
            let body = match packed {
                true => {
                    let level = flate2::Compression::fast();
                    let mut body = flate2::write::DeflateEncoder::new(Vec::new(), level);
                    body.write_all(text).expect("kept");
                    body.finish().expect("packed")
                }
                false => text.to_vec(),
            };
            archive.extend_from_slice(b"PK\x03\x04\x14\0\0\0");
            archive.extend_from_slice(if packed { b"\x08\0" } else { b"\0\0" });
            archive.extend_from_slice(&[0; 8]);
            archive.extend_from_slice(&(body.len() as u32).to_le_bytes());
            archive.extend_from_slice(&(text.len() as u32).to_le_bytes());
            archive.extend_from_slice(&(name.len() as u16).to_le_bytes());
            archive.extend_from_slice(&[0; 2]);
            archive.extend_from_slice(name.as_bytes());
            archive.extend_from_slice(&body);
        }
        archive.extend_from_slice(b"PK\x01\x02and so on");
        archive
    }

    fn unpacked(bytes: &[u8], cut: usize) -> Result<Vec<u8>, Problem> {
        let (mut unpack, mut out) = (Unpack::default(), Vec::new());
        for part in bytes.chunks(cut) {
            unpack.push(part, |piece| {
                out.extend_from_slice(piece);
                Ok(true)
            })?;
        }
        out.extend(unpack.finish()?);
        Ok(out)
    }

    fn table() -> Vec<u8> {
        let rows = (0..2000).map(|n| format!("p{n}@x.test,Name {n}\n"));
        format!("email,name\n{}", rows.collect::<String>()).into_bytes()
    }

    #[test]
    fn what_is_packed_comes_out_however_it_is_cut() {
        let table = table();
        let packed = [
            table.clone(),
            gzip(&table),
            [gzip(&table[..100]), gzip(&table[100..])].concat(),
            zip(&[("people.csv", &table)], true),
            zip(&[("people.csv", &table)], false),
            b"a".to_vec(),
        ];
        for bytes in &packed {
            for cut in [1, 7, 5000, usize::MAX] {
                let out = unpacked(bytes, cut.min(bytes.len())).expect("it is sound");
                assert!(out == table || out == b"a", "{cut}");
            }
        }
    }

    #[test]
    fn what_macos_packs_beside_a_file_is_passed_over() {
        let (table, known) = (table(), vec![b'.'; 3 * STEP]);
        let (file, own) = (("x.csv", &table[..]), ("__MACOSX/._x.csv", &known[..]));
        for packed in [true, false] {
            for cut in [1, 7, 5000, usize::MAX] {
                for files in [
                    &[file, own][..],
                    &[file, ("__MACOSX/", b""), own],
                    &[own, file],
                ] {
                    let archive = zip(files, packed);
                    let out = unpacked(&archive, cut.min(archive.len()));
                    assert!(out.is_ok_and(|out| out == table), "{packed} {cut}");
                }
                let two = zip(&[file, own, ("b", b"email\n")], packed);
                assert!(unpacked(&two, cut.min(two.len())).is_err());
            }
        }
        assert!(unpacked(&zip(&[own], true), 100).is_err());
    }

    #[test]
    fn what_cannot_be_unpacked_says_why() {
        let (table, status) = (table(), |bytes: &[u8]| {
            unpacked(bytes, 100).map_err(|p| p.detail)
        });
        let packed = gzip(&table);
        assert!(status(&packed[..packed.len() / 2]).is_err());
        let mut bent = packed.clone();
        bent[40] ^= 0xff;
        bent[50] ^= 0xff;
        assert!(status(&bent).is_err());
        let two = zip(&[("a.csv", &table), ("b.csv", &table)], true);
        assert!(status(&two).is_err_and(|why| why.contains("one by one")));
        let book = zip(&[("[Content_Types].xml", b"<x/>")], true);
        assert!(status(&book).is_err_and(|why| why.contains("Excel")));
        assert!(status(b"PK\x03\x04").is_err());
        let archive = zip(&[("a.csv", &table)], true);
        assert!(status(&archive[..archive.len() / 2]).is_err());
    }
}
