//! A sub-account as one file (see `store::archive`): written for whoever takes it away, and read into an empty one.

use domain::identity::{Action, Identity};
use http::Method;
use serde::Serialize;
use store::archive::{Error, Reader, Writer};
use store::{Db, profile, request, tenant, tenant_state, work};

use crate::auth;
use crate::context::Context;
use crate::http::{Answer, Problem, Request, Response};
use crate::slave::{Scope, access};

/// The media type of an archive.
pub const MEDIA: &str = "application/x-ndjson";
/// How often whoever reads an archive says that they are alive, in milliseconds.
const ALIVE: i64 = 5_000;
/// What a request that was canceled says.
const MAY_BE_SENT: &str = "It waited when the archive was made: the original may have sent it since, so it was not restored to be sent.";
/// The stages that look at what was restored.
pub const STAGES: [&str; 8] = [
    "ingest", "import", "rule", "plan", "claim", "timeline", "search", "profiles",
];

/// Streams the archive of a sub-account, as it is now.
///
/// # Errors
/// When the store fails at the beginning. If it fails later the archive breaks off, which whoever restores it is told.
pub fn download(scope: &Scope<'_>) -> Answer {
    // One of its own: the snapshot lasts as long as the download.
    let db = tenant::open(scope.cx.stores, &*scope.control, &scope.tenant)?;
    let mut writer = Writer::new(db).map_err(problem)?;
    let pieces = std::iter::from_fn(move || {
        writer.piece().unwrap_or_else(|e| {
            eprintln!("archive: {e}");
            None
        })
    });
    let name = format!("{}.sluice", scope.tenant.id);
    // The first failure comes before the answer.
    let mut pieces = pieces.peekable();
    match pieces.peek() {
        Some(_) => Ok(Response::download(MEDIA, &name, Box::new(pieces))),
        None => Err(Problem::new(500, "The archive could not be written")),
    }
}

fn problem(error: Error) -> Problem {
    match error {
        Error::Store(e) => e.into(),
        Error::Invalid(reason) => {
            Problem::new(422, "This is no archive that can be restored").detail(reason)
        }
        Error::Newer(reason) => Problem::new(422, "The archive is of a newer version").detail(reason),
        Error::NotEmpty(_) => Problem::new(409, "The sub-account is not empty").detail(
            "An archive is restored into a sub-account that nothing was ever put into. Nothing was changed: make a new one.",
        ),
    }
}

/// Whether a request brings an archive, so that its body should not be collected first.
pub fn is_restoration(request: &Request) -> bool {
    let path = matches!(
        request.segments()[..],
        ["s", _, "api", "v1", "archive"] | ["node", "v1", "subaccounts", _, "archive"]
    );
    path && request.method == Method::PUT
}

/// Lets a caller restore an archive: somebody who manages the sub-account, or the master.
///
/// # Errors
/// 401, 403 or 404 for whom it is not, 503 while the sub-account is not at rest.
pub fn admit<'a>(
    cx: &'a Context<'a>,
    request: &Request,
    who: Option<&Identity>,
) -> Result<Scope<'a>, Problem> {
    match request.segments()[..] {
        ["node", "v1", "subaccounts", id, _] => {
            access::require_master(cx, request)?;
            access::any(cx, id)
        }
        ["s", id, ..] => {
            auth::require_same_origin(request, cx.url())?;
            let who = who.ok_or_else(Problem::unauthorized)?;
            access::scope(cx, id, who, Action::Manage)
        }
        _ => Err(Problem::not_found()),
    }
}

/// An archive that is being read. Until it is done the sub-account serves nothing; when it is dropped before, nothing of
/// the archive is kept.
pub struct Restoration<'a> {
    cx: &'a Context<'a>,
    control: Box<dyn Db>,
    id: String,
    reader: Option<Reader>,
    pending: Pending,
    /// When somebody was last told that this is alive.
    told_at: i64,
}

/// What becomes of requests that have not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// They end: the original may have sent them.
    Cancel,
    /// They go on when their profiles are switched on: the original is no more.
    Keep,
}

impl Pending {
    /// What `?pending=` of a request says.
    ///
    /// # Errors
    /// 422 when it is neither `cancel` nor `keep`.
    pub fn of(request: &Request) -> Result<Pending, Problem> {
        match request.param("pending").as_deref() {
            None | Some("cancel") => Ok(Pending::Cancel),
            Some("keep") => Ok(Pending::Keep),
            Some(_) => Err(Problem::invalid("pending", "must be cancel or keep")),
        }
    }
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// How many tables.
    pub tables: usize,
    /// How many rows of all of them.
    pub rows: u64,
    /// How many profiles were switched off.
    pub profiles_paused: u64,
    /// How many requests were canceled that had not begun.
    pub requests_canceled: u64,
}

impl<'a> Restoration<'a> {
    /// Begins.
    ///
    /// # Errors
    /// 409 while it is not active, or already being restored; or when the store fails.
    pub fn begin(scope: Scope<'a>, pending: Pending) -> Result<Self, Problem> {
        let (cx, id) = (scope.cx, scope.tenant.id);
        if !tenant_state::restore(&*scope.control, &id, cx.now)? {
            return Err(Problem::new(409, "The sub-account is not active").detail(
                "It is suspended, deleted, moving, or being restored already. Nothing was changed.",
            ));
        }
        let restoration = Restoration {
            cx,
            control: scope.control,
            id,
            reader: Some(Reader::new(scope.db)),
            pending,
            told_at: cx.now,
        };
        // The archive may be of an older version, and whoever reads it may die before it is brought up to date.
        tenant::set_schema_version(&*restoration.control, &restoration.id, 0)?;
        Ok(restoration)
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// 422 when they cannot be what comes next, 409 when the sub-account is not empty, or when the store fails.
    pub fn push(&mut self, bytes: &[u8], now: i64) -> Result<(), Problem> {
        if now - self.told_at > ALIVE {
            if !tenant_state::keep_restoring(&*self.control, &self.id, now)? {
                return Err(Problem::new(408, "The archive came too slowly")
                    .detail("Nothing of it was kept. Send it again."));
            }
            self.told_at = now;
        }
        let reader = self.reader.as_mut().ok_or_else(Problem::not_found)?;
        reader.push(bytes).map_err(problem)
    }

    /// Keeps all of it, with its profiles switched off and, unless it was asked for otherwise, without what waits in it:
    /// the sub-account that the archive was made of may have sent that since.
    ///
    /// # Errors
    /// 422 when the archive breaks off, or when the store fails.
    pub fn finish(mut self) -> Result<Response, Problem> {
        let (now, pending) = (self.cx.now, self.pending);
        let (mut paused, mut canceled) = (0, 0);
        for stage in STAGES {
            work::mark(&*self.control, &self.id, stage, now, now)?;
        }
        let reader = self.reader.take().ok_or_else(Problem::not_found)?;
        let summary = reader.finish(|db| {
            paused = profile::pause_all(db, now)?;
            if pending == Pending::Cancel {
                canceled = request::cancel_unbegun(db, MAY_BE_SENT, now)?;
            }
            Ok(())
        });
        let summary = summary.map_err(problem)?;
        let restored = Restored {
            tables: summary.tables,
            rows: summary.rows,
            profiles_paused: paused,
            requests_canceled: canceled,
        };
        Ok(Response::json(200, &restored))
    }
}

impl Drop for Restoration<'_> {
    fn drop(&mut self) {
        // Rolls back what is not kept, before anybody else may look.
        self.reader = None;
        if let Err(e) = tenant_state::restored(&*self.control, &self.id, self.cx.now) {
            // It is given back when it has been silent for a minute.
            eprintln!("restoration of {}: {e}", self.id);
        }
    }
}
