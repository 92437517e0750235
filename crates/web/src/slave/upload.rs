//! An upload: bytes in, chunks kept, however large the file is.

use domain::identity::{Action, Identity};
use domain::mapping::Options;
use serde_json::json;
use stages::file::CHUNK;
use store::import;

use crate::context::Context;
use crate::http::{Problem, Request, Response};
use crate::slave::unpack::Unpack;
use crate::slave::{Scope, access, mapping};
use crate::{auth, input, pages};

/// The largest file, in bytes.
pub const MAX: i64 = 4 * 1024 * 1024 * 1024;
/// How many times larger than it came a file may become when it is unpacked, and bytes that are free. Tables shrink to a
/// tenth or a fiftieth; what shrinks much more was made to fill disks.
const RATIO: i64 = 200;
const SLACK: i64 = 1024 * 1024;
/// Files of a tenant that may wait for their columns to be mapped.
const HELD_MAX: i64 = 20;

/// An upload that is under way.
pub struct Upload<'a> {
    scope: Scope<'a>,
    /// The import it is for.
    pub id: i64,
    no: i64,
    bytes: i64,
    /// How many bytes came, before they were unpacked.
    packed: i64,
    buffer: Vec<u8>,
    refused: bool,
    /// Whether it waits for its columns to be mapped.
    pub held: bool,
    options: Options,
    unpack: Unpack,
}

/// Whether a request is an upload, so that its body should not be collected first.
pub fn is_upload(request: &Request) -> bool {
    let path = matches!(
        request.segments()[..],
        ["s", _, "api", "v1", "imports"] | ["s", _, "imports"]
    );
    path && request.method == http::Method::POST
}

/// Lets a caller begin an upload.
///
/// # Errors
/// 401, 403 or 404 for whom it is not.
pub fn admit<'a>(
    cx: &'a Context<'a>,
    request: &Request,
    who: Option<&Identity>,
) -> Result<Scope<'a>, Problem> {
    auth::require_same_origin(request, cx.url())?;
    let segments = request.segments();
    access::scope(
        cx,
        segments.get(1).copied().unwrap_or_default(),
        who.ok_or_else(Problem::unauthorized)?,
        Action::Write,
    )
}

/// What an upload is answered with: 202 to a program, a page to a person. `held` says that its columns are still to be
/// mapped.
pub fn accepted(request: &Request, scope: &Scope<'_>, id: i64, held: bool) -> Response {
    let status = if held { "waiting" } else { "pending" };
    let page = if held { "/mapping" } else { "" };
    match is_api(request) {
        true => Response::json(202, &json!({"id": id, "status": status})),
        false => Response::see_other(&format!("{}/imports/{id}{page}", scope.base())),
    }
}

/// A problem with an upload, for a program or a person.
pub fn refused(
    cx: &Context<'_>,
    request: &Request,
    who: Option<&Identity>,
    problem: Problem,
) -> Response {
    match problem.status == 401 && !is_api(request) {
        true => pages::routes::sign_in(cx, request),
        false => super::refuse(cx, request, who, problem),
    }
}

fn is_api(request: &Request) -> bool {
    request.segments().get(2) == Some(&"api")
}

/// The name and the tag of an upload as they are given in the query.
///
/// # Errors
/// 422 when one cannot be taken.
pub fn labels(request: &Request) -> Result<(Option<String>, Option<String>), Problem> {
    let name = request
        .param("name")
        .map(|n| input::name("name", &n))
        .transpose()?;
    let tag = request
        .param("tag")
        .map(|t| input::name("tag", &t))
        .transpose()?;
    Ok((name, tag))
}

impl<'a> Upload<'a> {
    /// Begins an import.
    ///
    /// # Errors
    /// When the store fails.
    pub fn begin(scope: Scope<'a>, name: &str, tag: Option<&str>) -> Result<Self, Problem> {
        let id = scope.promising(&["ingest"], || {
            Ok(import::insert(&*scope.db, name, tag, scope.cx.now)?)
        })?;
        Ok(Upload {
            scope,
            id,
            no: 0,
            bytes: 0,
            packed: 0,
            buffer: Vec::with_capacity(CHUNK),
            refused: false,
            held: false,
            options: Options::default(),
            unpack: Unpack::default(),
        })
    }

    /// Takes the options that a query gives.
    ///
    /// # Errors
    /// 422 naming the one that cannot be taken.
    pub fn options(&mut self, request: &Request) -> Result<(), Problem> {
        for (name, text) in url::form_urlencoded::parse(request.query.as_bytes()) {
            self.option(&name, &text)?;
        }
        Ok(())
    }

    /// Takes an option; anything else is left alone. What is empty is not said.
    ///
    /// # Errors
    /// 422 when it cannot be taken, or when the file goes before it.
    pub fn option(&mut self, name: &str, text: &str) -> Result<(), Problem> {
        if !mapping::is_option(name) || text.is_empty() {
            return Ok(());
        }
        match name {
            "preview" => self.hold(mapping::flag(name, text)?)?,
            _ => mapping::set(&mut self.options, name, text)?,
        }
        let kept = self.bytes == 0
            && import::configure(&*self.scope.db, self.id, self.held, &self.options)?;
        match kept {
            true => Ok(()),
            false => Err(Problem::invalid(name, "must come before the file")),
        }
    }

    fn hold(&mut self, held: bool) -> Result<(), Problem> {
        if held && import::count_held(&*self.scope.db)? >= HELD_MAX {
            return Err(Problem::new(409, "Too many files wait").detail(format!(
                "At most {HELD_MAX} files may wait for their columns to be mapped. Map or cancel one first."
            )));
        }
        self.held = held;
        Ok(())
    }

    /// Takes the next bytes. False when the import has failed already and the rest is of no use.
    ///
    /// # Errors
    /// When the store fails, the file is too large, or an archive cannot be unpacked.
    pub fn push(&mut self, bytes: &[u8]) -> Result<bool, Problem> {
        let mut unpack = std::mem::take(&mut self.unpack);
        self.packed += bytes.len() as i64;
        let more = unpack.push(bytes, |piece| self.keep(piece));
        self.unpack = unpack;
        more
    }

    /// Keeps the next bytes of the table.
    fn keep(&mut self, mut bytes: &[u8]) -> Result<bool, Problem> {
        self.bytes += bytes.len() as i64;
        if self.bytes > MAX.min(RATIO * self.packed + SLACK) {
            return Err(Problem::new(413, "The file is too large")
                .detail("Nothing of it was imported. Cut it into several files."));
        }
        while !bytes.is_empty() && !self.refused {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == CHUNK {
                self.flush()?;
            }
        }
        Ok(!self.refused)
    }

    fn flush(&mut self) -> Result<(), Problem> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        access::still(&self.scope)?;
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        self.refused =
            !import::add_chunk(&*self.scope.db, self.id, self.no, chunk, self.scope.cx.now)?;
        self.no += 1;
        Ok(())
    }

    /// Names the import, which may be known only after the file.
    ///
    /// # Errors
    /// 422 when a label cannot be taken.
    pub fn label(&self, name: Option<&str>, tag: Option<&str>) -> Result<(), Problem> {
        let name = name.map(|n| input::name("name", n)).transpose()?;
        let tag = tag.map(|t| input::name("tag", t)).transpose()?;
        access::still(&self.scope)?;
        Ok(import::relabel(
            &*self.scope.db,
            self.id,
            name.as_deref(),
            tag.as_deref(),
        )?)
    }

    /// All bytes are here. A file that cannot be unpacked to its end is given up.
    ///
    /// # Errors
    /// When the store fails, or an archive broke off.
    pub fn finish(mut self) -> Result<(Scope<'a>, i64), Problem> {
        if let Err(problem) = self.end() {
            self.abandon(&problem.detail);
            return Err(problem);
        }
        access::still(&self.scope)?;
        let (scope, id) = (&self.scope, self.id);
        scope.promising(&["ingest"], || {
            Ok(import::end_upload(&*scope.db, id, scope.cx.now)?)
        })?;
        Ok((self.scope, self.id))
    }

    /// Keeps what was held back.
    fn end(&mut self) -> Result<(), Problem> {
        if !self.refused {
            let last = self.unpack.finish()?;
            self.keep(&last)?;
        }
        self.flush()
    }

    /// The bytes stopped coming, or cannot be kept: nothing of the file is imported.
    pub fn abandon(self, reason: &str) {
        // What moves must not change, and what is in the place of a tenant that is gone is another's.
        if access::still(&self.scope).is_err() {
            return;
        }
        let failed = import::fail(&*self.scope.db, self.id, reason, self.scope.cx.now);
        if let Err(e) = failed {
            // The stage gives up on a silent upload by itself.
            eprintln!("import {}: {e}", self.id);
        }
    }
}
