//! The pages people see: plain-data views, each with a `render()` that returns the whole HTML.
//!
//! A view does no I/O and reads no clock: a handler fills the struct, times come in as
//! milliseconds since the epoch (UTC). One noun a file, the same noun as its template folder.
//! Everything a view prints is escaped; the one exception is markup that `filters` builds itself
//! from numbers.

pub mod api_key;
pub mod approval;
pub mod assets;
pub mod audit;
pub mod conditions;
pub mod confirmation;
pub mod dashboard;
pub mod error;
mod filters;
pub mod form;
pub mod format;
pub mod import;
pub mod invite;
pub mod lead;
pub mod limits;
pub mod mapping;
pub mod password;
pub mod profile;
pub mod request;
pub mod routes;
pub mod rule;
pub mod second_factor;
pub mod sequence;
pub mod session;
pub mod settings;
pub mod subaccount;
pub mod team;
pub mod timeline;
pub mod unsubscribe;
pub mod you;

pub use form::Field;

use domain::identity::{Action, Identity};
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use http::{Method, StatusCode};

use crate::http::{Answer, Body, Problem, Request, Response};

/// A problem as a page, in the frame where it happened.
pub fn problem(frame: Page, problem: Problem) -> Response {
    let retry_after = problem.retry_after;
    let status = problem.status;
    let response = Response::html(status, error::ErrorPage::of(frame, problem).render());
    match retry_after {
        Some(seconds) => response.with(RETRY_AFTER, &seconds.to_string()),
        None => response,
    }
}

/// A static file: for ever under the URL that carries its version, otherwise to be asked for again.
///
/// # Errors
/// 404 when there is none of that name, 405 for a change.
pub fn asset(request: &Request, name: &str) -> Answer {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return Err(Problem::method_not_allowed());
    }
    let asset = assets::find(name).ok_or_else(Problem::not_found)?;
    let file = Response::asset(asset.content_type, asset.bytes.to_vec());
    Ok(versioned(request, &asset.version(), "public", file))
}

/// A file that its caller keeps for ever under the URL that carries its version, and otherwise asks for again; `whose`
/// says for whom it may be kept: `public` or `private`.
pub fn versioned(request: &Request, version: &str, whose: &str, file: Response) -> Response {
    if request.param("v").as_deref() == Some(version) {
        let control = format!("{whose}, max-age=31536000, immutable");
        return file.with(CACHE_CONTROL, &control);
    }
    let tag = format!("\"{version}\"");
    let seen = request.header(IF_NONE_MATCH);
    let mut answer = file
        .with(CACHE_CONTROL, &format!("{whose}, no-cache"))
        .with(ETAG, &tag);
    if seen.is_some_and(|seen| seen.contains(&tag)) {
        answer.status = StatusCode::NOT_MODIFIED;
        answer.body = Body::Full(Vec::new());
    }
    answer
}

/// Implements `render()` and names the navigation entry that is current on this page.
macro_rules! view {
    ($view:ty, $section:expr) => {
        impl $view {
            /// The page as HTML.
            #[must_use]
            pub fn render(&self) -> String {
                askama::Template::render(self).expect("plain data always formats")
            }

            fn section(&self) -> &'static str {
                $section
            }
        }
    };
}
pub(crate) use view;

/// Which frame stands around a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// Sign-up and log-in: our brand, no navigation.
    Front,
    /// The master's own pages, for an account.
    Master,
    /// The pages of one sub-account, on a slave.
    Tenant,
    /// A page for a recipient of mail: no brand of ours, no navigation.
    Neutral,
}

/// How a sub-account's pages look.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Look {
    /// What stands for the product's name.
    pub name: String,
    /// Where the brand's stylesheet is, when it has colours.
    pub stylesheet: Option<String>,
    /// Where its logo is.
    pub logo: Option<String>,
}

impl Look {
    /// How a tenant's pages look, served under `base`; none when it has no brand and is not reached by a name of its own.
    #[must_use]
    pub fn of(
        look: &store::setting::Look,
        base: &str,
        tenant: &str,
        own_name: bool,
    ) -> Option<Self> {
        let css = look.brand.css();
        let version = crate::slave::settings::version(&css);
        let branded = look.brand.name.is_some() || look.logo_version.is_some();
        (own_name || branded || !css.is_empty()).then(|| Self {
            name: look.brand.name.clone().unwrap_or_else(|| tenant.to_owned()),
            stylesheet: (!css.is_empty()).then(|| format!("{base}/brand.css?v={version}")),
            logo: look
                .logo_version
                .as_ref()
                .map(|v| format!("{base}/logo?v={v}")),
        })
    }
}

/// What every page needs to know about where it is and for whom.
#[derive(Debug, Clone)]
pub struct Page {
    /// The frame around the page.
    pub site: Site,
    /// Prefix of links within this site: `""` on the master and on a custom domain, `/s/{id}` on a slave.
    pub base: String,
    /// Prefix of `/static/...`: `""` on the master, `/s/{id}` on a slave.
    pub asset_base: String,
    /// Where the master is, without a trailing slash: `""` when it is the same host.
    pub master_url: String,
    /// Name of the sub-account, on its pages.
    pub subaccount: String,
    /// The sub-account's brand in the place of ours.
    pub look: Option<Look>,
    /// Whether the person may change what the sub-account holds; others are shown no forms for it.
    pub writes: bool,
    /// Whether the person may change the settings of the sub-account.
    pub manages: bool,
    /// E-mail of the person who is signed in.
    pub user: Option<String>,
    /// Whether they look after the people and keys of the account.
    pub administers: bool,
    /// The present, so that times of today can be written shorter.
    pub now: i64,
    /// What the last action did ("The rule is off."), shown once on top.
    pub notice: Option<String>,
}

impl Page {
    /// A page of the master for somebody who is signed in.
    #[must_use]
    pub fn master(who: &Identity, now: i64) -> Self {
        Self {
            site: Site::Master,
            user: Some(who.email.clone()),
            administers: who.may(Action::Administer),
            ..Self::front(now)
        }
    }

    /// Sign-up or log-in.
    #[must_use]
    pub fn front(now: i64) -> Self {
        Self {
            site: Site::Front,
            base: String::new(),
            asset_base: String::new(),
            master_url: String::new(),
            subaccount: String::new(),
            look: None,
            writes: false,
            manages: false,
            user: None,
            administers: false,
            now,
            notice: None,
        }
    }

    /// A page of the sub-account named `subaccount`, served under `base`.
    #[must_use]
    pub fn tenant(
        base: impl Into<String>,
        master_url: impl Into<String>,
        subaccount: impl Into<String>,
        user: impl Into<String>,
        now: i64,
    ) -> Self {
        let base = base.into();
        Self {
            site: Site::Tenant,
            asset_base: base.clone(),
            base,
            master_url: master_url.into(),
            subaccount: subaccount.into(),
            look: None,
            writes: false,
            manages: false,
            user: Some(user.into()),
            administers: false,
            now,
            notice: None,
        }
    }

    /// A page for someone who got a mail from the sub-account named `subaccount`.
    #[must_use]
    pub fn neutral(base: impl Into<String>, subaccount: impl Into<String>, now: i64) -> Self {
        let base = base.into();
        Self {
            site: Site::Neutral,
            asset_base: base.clone(),
            base,
            subaccount: subaccount.into(),
            ..Self::front(now)
        }
    }

    /// The same page with a notice on top.
    #[must_use]
    pub fn with_notice(mut self, notice: impl Into<String>) -> Self {
        self.notice = Some(notice.into());
        self
    }

    fn is_front(&self) -> bool {
        self.site == Site::Front
    }

    fn is_neutral(&self) -> bool {
        self.site == Site::Neutral
    }

    fn is_tenant(&self) -> bool {
        self.site == Site::Tenant
    }

    fn asset(&self, name: &str) -> String {
        assets::url(&self.asset_base, name)
    }

    /// (section, path, label) of the navigation, in order.
    fn nav(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        let mut entries = self.entries().to_vec();
        if self.manages {
            entries.push(("settings", "/settings", "Settings"));
        }
        entries
    }

    fn entries(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self.site {
            Site::Master if self.administers => &[
                ("subaccounts", "/subaccounts", "Sub-accounts"),
                ("team", "/team", "Team"),
                ("api-keys", "/api-keys", "API keys"),
                ("audit-log", "/audit-log", "Audit log"),
                ("profile", "/profile", "Your profile"),
            ],
            Site::Master => &[
                ("subaccounts", "/subaccounts", "Sub-accounts"),
                ("api-keys", "/api-keys", "API keys"),
                ("profile", "/profile", "Your profile"),
            ],
            Site::Tenant => &[
                ("dashboard", "/", "Dashboard"),
                ("leads", "/leads", "Leads"),
                ("imports", "/imports", "Imports"),
                ("rules", "/rules", "Rules"),
                ("profiles", "/profiles", "Profiles"),
                ("requests", "/requests", "Requests"),
                ("timeline", "/timeline", "Timeline"),
            ],
            Site::Front | Site::Neutral => &[],
        }
    }
}

/// A label and a value, for definition lists.
#[derive(Debug, Clone)]
pub struct Pair {
    /// What it is.
    pub label: String,
    /// What it says.
    pub value: String,
}

impl Pair {
    /// A pair of two texts.
    #[must_use]
    pub fn new(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            value: value.into(),
        }
    }
}

/// An option of a select.
#[derive(Debug, Clone)]
pub struct Choice {
    /// What the form sends.
    pub value: String,
    /// What the person reads.
    pub label: String,
}

impl Choice {
    /// A choice of two texts.
    #[must_use]
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            label: label.into(),
        }
    }
}

/// Links from a page of a list, complete with query (`?cursor=…&q=…`). Most cursors lead forward only.
#[derive(Debug, Clone, Default)]
pub struct Pager {
    /// The first page, on any other.
    pub first: Option<String>,
    /// The page before, where a list can go back.
    pub previous: Option<String>,
    /// The page after, when there is one.
    pub next: Option<String>,
}

/// A chart of counts over time, drawn as bars from the table below it.
#[derive(Debug, Clone)]
pub struct Chart {
    /// What is counted, in the plural: "mails performed".
    pub label: String,
    /// `hour` or `day`.
    pub step: String,
    /// (start of the hour or day in milliseconds, count), oldest first, without gaps.
    pub points: Vec<(i64, i64)>,
}

impl Chart {
    fn total(&self) -> i64 {
        self.points.iter().map(|(_, n)| n).sum()
    }
}

#[cfg(test)]
mod tests;
