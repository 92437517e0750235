//! Requests, answers and problems (RFC 9457), apart from any host.

use domain::identity::Action;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::json;

/// A request whose body has arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, percent-encoded as it came.
    pub path: String,
    /// The query, without its `?`.
    pub query: String,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header field's value when it is text.
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first value of a query parameter that is there and not empty.
    pub fn param(&self, name: &str) -> Option<String> {
        pairs(self.query.as_bytes())
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|p| p.1)
    }

    /// The parts of the path below a prefix.
    pub fn segments(&self) -> Vec<&str> {
        self.path.split('/').skip(1).collect()
    }

    /// Reads a JSON body.
    ///
    /// # Errors
    /// 415 for another media type, 400 for broken JSON, 422 with the field's name for a wrong value.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let media = self
            .header(header::CONTENT_TYPE)
            .unwrap_or("application/json");
        let media = media.split(';').next().unwrap_or_default().trim();
        if !(media == "application/json" || media.ends_with("+json")) {
            return Err(Problem::new(415, "Send JSON")
                .detail(format!("This call takes application/json, not {media}.")));
        }
        json::parse(&self.body)
    }

    /// The file in a field of a form (`multipart/form-data`).
    ///
    /// # Errors
    /// 415 for another kind of body, 422 when no file was chosen.
    pub fn file(&self, name: &str) -> Result<Vec<u8>, Problem> {
        let media = self.header(header::CONTENT_TYPE).unwrap_or_default();
        let boundary = multer::parse_boundary(media).map_err(|_| {
            Problem::new(415, "Send a form").detail("This call takes a form with a file.")
        })?;
        let body =
            futures_util::stream::iter([Ok::<_, std::convert::Infallible>(self.body.clone())]);
        let mut form = multer::Multipart::new(body, boundary);
        // All of the body is here: nothing is ever waited for.
        let found = async {
            while let Some(field) = form.next_field().await? {
                if field.name() == Some(name) {
                    return field.bytes().await.map(Some);
                }
            }
            Ok(None)
        };
        let found: Option<multer::Result<_>> = futures_util::FutureExt::now_or_never(found);
        let bytes = found
            .and_then(Result::ok)
            .flatten()
            .filter(|bytes| !bytes.is_empty());
        bytes
            .map(|bytes| bytes.to_vec())
            .ok_or_else(|| Problem::invalid(name, "choose a file"))
    }

    /// The fields of a form, in order.
    pub fn form(&self) -> Vec<(String, String)> {
        pairs(&self.body).collect()
    }
}

fn pairs(text: &[u8]) -> impl Iterator<Item = (String, String)> {
    url::form_urlencoded::parse(text).map(|(k, v)| (k.into_owned(), v.into_owned()))
}

/// An answer's body.
pub enum Body {
    /// All of it.
    Full(Vec<u8>),
    /// Piece by piece, for answers of any size.
    Stream(Box<dyn Iterator<Item = Vec<u8>>>),
}

/// An answer.
pub struct Response {
    /// The status code.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

impl Response {
    fn new(status: u16, media: &'static str, body: Body) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        Response {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers,
            body,
        }
    }

    /// JSON, which nobody else may keep.
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        Self::json_bytes(status, serde_json::to_vec(value).unwrap_or_default())
    }

    /// JSON that is written already.
    pub fn json_text(status: u16, text: String) -> Self {
        Self::json_bytes(status, text.into_bytes())
    }

    fn json_bytes(status: u16, body: Vec<u8>) -> Self {
        Self::new(status, "application/json", Body::Full(body))
            .with(header::CACHE_CONTROL, "no-store")
    }

    /// A page. Only our own scripts and styles run in it, and nobody may frame it.
    pub fn html(status: u16, html: String) -> Self {
        const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                              form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
        Self::new(
            status,
            "text/html; charset=utf-8",
            Body::Full(html.into_bytes()),
        )
        .with(header::CACHE_CONTROL, "no-store")
        .with(header::CONTENT_SECURITY_POLICY, POLICY)
        .with(header::REFERRER_POLICY, "same-origin")
    }

    /// A file for download, made piece by piece.
    pub fn download(
        media: &'static str,
        name: &str,
        pieces: Box<dyn Iterator<Item = Vec<u8>>>,
    ) -> Self {
        Self::new(200, media, Body::Stream(pieces))
            .with(header::CACHE_CONTROL, "no-store")
            .with(
                header::CONTENT_DISPOSITION,
                &format!("attachment; filename=\"{name}\""),
            )
    }

    /// A file that is shown, not downloaded.
    pub fn asset(media: &'static str, bytes: Vec<u8>) -> Self {
        Self::new(200, media, Body::Full(bytes))
    }

    /// See Other (303): after a form, look there.
    pub fn see_other(location: &str) -> Self {
        Self::new(303, "text/plain; charset=utf-8", Body::Full(Vec::new()))
            .with(header::LOCATION, location)
    }

    /// Permanent Redirect (308): the same request goes there, now and later.
    pub fn moved(location: &str) -> Self {
        Self::new(308, "text/plain; charset=utf-8", Body::Full(Vec::new()))
            .with(header::LOCATION, location)
            .with(header::CACHE_CONTROL, "no-store")
    }

    /// Nothing to say.
    pub fn no_content() -> Self {
        Self::new(204, "text/plain; charset=utf-8", Body::Full(Vec::new()))
    }

    /// Adds a header field. A value that cannot be one is left out.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }
}

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Its name; parts of a nested name are joined by dots.
    pub field: String,
    /// What is wrong, for people.
    pub message: String,
}

/// What went wrong, what was kept and what to do (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// In a few words; the same for the same kind of problem.
    pub title: String,
    /// This time.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Which fields are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Seconds until it makes sense to try again.
    #[serde(skip)]
    pub retry_after: Option<u32>,
}

impl Problem {
    /// A problem of some kind.
    pub fn new(status: u16, title: &str) -> Self {
        Problem {
            status,
            title: title.to_owned(),
            detail: String::new(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// Says more.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// A field has a value that cannot be taken (422).
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        let mut problem =
            Problem::new(422, "A field is not valid").detail(format!("{field}: {message}"));
        problem.errors.push(FieldError { field, message });
        problem
    }

    /// There is no such thing, or not for this caller: the two look the same.
    pub fn not_found() -> Self {
        Problem::new(404, "There is nothing here")
            .detail("It does not exist, or you may not see it.")
    }

    /// The caller is known, and may not do this.
    pub fn forbidden() -> Self {
        Problem::new(403, "You may not do this")
            .detail("Your role, or the scopes of your key, do not allow it. Nothing was changed.")
    }

    /// The caller is known, and lacks what this takes.
    pub fn lacks(action: Action) -> Self {
        Problem::forbidden().detail(format!(
            "This takes the right “{}”, which your role, or the scopes of your key, do not have. Nothing was changed.",
            action.name()
        ))
    }

    /// Nobody is signed in.
    pub fn unauthorized() -> Self {
        Problem::new(401, "Sign in first")
            .detail("Send a valid API key (Authorization: Bearer …) or sign in.")
    }

    /// The path takes other methods.
    pub fn method_not_allowed() -> Self {
        Problem::new(405, "This address does not take this method")
    }

    /// Somebody else changed or deleted the same thing meanwhile (409); other failures are what they are.
    pub fn changed(error: store::Error) -> Self {
        match error {
            store::Error::Stale => Problem::new(409, "Somebody else changed it").detail(
                "It was changed or deleted at the same time. Nothing of this request was kept; look at it again, then try again.",
            ),
            other => other.into(),
        }
    }

    /// The problem as JSON.
    pub fn into_response(self) -> Response {
        let mut response = Response::json(self.status, &self);
        response.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            response.headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == 401 {
            response
                .headers
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        let (status, title, detail, retry_after) = match &error {
            store::Error::Full(_) => (
                507,
                "No room is left",
                "Nothing of this request was kept. Free some disk space and try again.",
                None,
            ),
            store::Error::Busy(_) | store::Error::Stale => (
                503,
                "The database is busy",
                "Nothing of this request was kept. Try again.",
                Some(1),
            ),
            store::Error::Unavailable(_) => (
                503,
                "The database does not serve",
                "It cannot be reached, takes no more connections, or is read-only. Nothing of this request was kept. Try again in a moment.",
                Some(5),
            ),
            store::Error::NewerSchema(_) => (
                503,
                "This server is too old for its database",
                "Start the newer version again.",
                Some(60),
            ),
            store::Error::Constraint(_) | store::Error::Other(_) => (
                500,
                "The server failed",
                "Nothing of this request was kept. The reason is in the server's log.",
                None,
            ),
        };
        // Standard error is the log of a component; the answer must not tell a stranger about tables.
        eprintln!("store: {error}");
        Problem {
            retry_after,
            ..Problem::new(status, title).detail(detail)
        }
    }
}

/// The answer to a call.
pub type Answer = Result<Response, Problem>;
