//! A small HTTP client: no surprise, no redirect, every status an answer.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Request};
use ureq::{Agent, SendBody};

/// Who is calling.
#[derive(Clone, Default)]
enum Caller {
    #[default]
    Nobody,
    Key(String),
    Session(String),
}

/// Calls under one base URL, as one caller.
#[derive(Clone)]
pub struct Http {
    agent: Agent,
    base: String,
    caller: Caller,
}

impl Http {
    /// An unknown caller under `base`, for instance `http://127.0.0.1:3000`.
    pub fn new(base: &str) -> Http {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Http {
            agent: config.into(),
            base: base.trim_end_matches('/').to_owned(),
            caller: Caller::Nobody,
        }
    }

    /// The same caller under another base.
    pub fn under(&self, base: &str) -> Http {
        Http {
            base: base.trim_end_matches('/').to_owned(),
            ..self.clone()
        }
    }

    /// The same base for the holder of an API key.
    pub fn with_key(&self, key: &str) -> Http {
        Http {
            caller: Caller::Key(key.to_owned()),
            ..self.clone()
        }
    }

    /// The same base for a browser that holds `cookie` (`name=value`).
    pub fn with_session(&self, cookie: &str) -> Http {
        Http {
            caller: Caller::Session(cookie.to_owned()),
            ..self.clone()
        }
    }

    /// The same base for nobody.
    pub fn anonymous(&self) -> Http {
        Http {
            caller: Caller::Nobody,
            ..self.clone()
        }
    }

    /// What paths are relative to.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GET.
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], &[])
    }

    /// POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_bytes(path, "application/json", body.to_string().as_bytes())
    }

    /// POST of anything.
    pub fn post_bytes(&self, path: &str, content_type: &str, body: &[u8]) -> Reply {
        self.send("POST", path, &[("content-type", content_type)], body)
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[], &[])
    }

    /// PUT of JSON.
    pub fn put(&self, path: &str, body: &Value) -> Reply {
        let kind = [("content-type", "application/json")];
        self.send("PUT", path, &kind, body.to_string().as_bytes())
    }

    /// Any request; a path that is a whole URL is taken as it is. Panics if no answer came.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|e| panic!("{method} {path} got no answer: {e}"))
    }

    /// Any request; an error is a connection that failed.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Reply, ureq::Error> {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.base)
        };
        let mut request = Request::builder().method(method).uri(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match &self.caller {
            Caller::Nobody => {}
            Caller::Key(key) => request = request.header("authorization", format!("Bearer {key}")),
            Caller::Session(cookie) => {
                // A browser says where its page is from; the server compares.
                request = request
                    .header("cookie", cookie)
                    .header("origin", origin(&url));
            }
        }
        let send_body = if body.is_empty() && method == "GET" {
            SendBody::none()
        } else {
            SendBody::from_owned_reader(std::io::Cursor::new(body.to_vec()))
        };
        if !matches!(method, "GET" | "HEAD") {
            request = request.header("content-length", body.len());
        }
        let answer = self
            .agent
            .run(request.body(send_body).expect("a request"))?;
        let (head, body) = answer.into_parts();
        let mut bytes = Vec::new();
        body.into_reader()
            .read_to_end(&mut bytes)
            .map_err(ureq::Error::from)?;
        let what = format!("{method} {url}");
        Ok(Reply {
            what,
            status: head.status.as_u16(),
            headers: head.headers,
            body: bytes,
        })
    }
}

fn origin(url: &str) -> String {
    url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    what: String,
    /// The status code.
    pub status: u16,
    headers: HeaderMap,
    /// The bytes of the body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Fails the test unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Reply {
        assert_eq!(
            self.status,
            status,
            "{} answered {}",
            self.what,
            self.text()
        );
        self
    }

    /// Fails the test unless it is a problem (RFC 9457) with a 4xx status that names `field`.
    #[track_caller]
    pub fn expect_problem_on(self, field: &str) {
        assert!(
            (400..500).contains(&self.status),
            "{} answered {} {}",
            self.what,
            self.status,
            self.text()
        );
        let kind = self.header("content-type").unwrap_or_default();
        assert!(
            kind.starts_with("application/problem+json"),
            "{} is {kind}: {}",
            self.what,
            self.text()
        );
        let problem = self.json();
        let named = problem["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|e| &e["field"]);
        let named: Vec<_> = named
            .chain([&problem["field"]])
            .filter_map(Value::as_str)
            .collect();
        let leads_to =
            |name: &&str| *name == field || name.split(['.', '[', '/']).any(|part| part == field);
        assert!(
            named.iter().any(leads_to),
            "{}: the problem does not name {field}: {problem}",
            self.what
        );
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| {
            panic!(
                "{} answered {} {}: {e}",
                self.what,
                self.status,
                self.text()
            )
        })
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The cookie that this answer set, as `name=value`.
    pub fn cookie(&self) -> Option<String> {
        let pairs = self
            .headers
            .get_all("set-cookie")
            .iter()
            .filter_map(|v| v.to_str().ok());
        let pairs: Vec<_> = pairs.filter_map(|v| v.split(';').next()).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}
