//! An agency and its sub-accounts, as their API calls.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Http, LONG, Reply, Sink, Sluice, eventually, now_ms};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A signed-up user with an account of its own.
pub struct Agency {
    /// With the API key.
    pub http: Http,
    /// With the session's cookie, as a browser.
    pub browser: Http,
    /// For logging in.
    pub email: String,
    /// For logging in.
    pub password: String,
}

impl Agency {
    /// Signs up somebody new, and makes an API key.
    pub fn sign_up(sluice: &Sluice) -> Agency {
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let (email, password) = (
            format!("ann{n}@agency.test"),
            format!("correct horse {n} battery"),
        );
        let body = json!({"email": email, "password": password, "account": format!("Agency {n}")});
        let reply = sluice.http().post("/api/v1/signup", &body).expect(201);
        let browser = sluice
            .http()
            .with_session(&reply.cookie().expect("a session cookie"));
        let key = browser
            .post("/api/v1/api-keys", &json!({"name": "tests"}))
            .expect(201)
            .json();
        let http = sluice.http().with_key(key["key"].as_str().expect("a key"));
        Agency {
            http,
            browser,
            email,
            password,
        }
    }

    /// Opens a sub-account and waits until it is active.
    pub fn subaccount(&self, name: &str) -> Sub {
        let made = self
            .http
            .post("/api/v1/subaccounts", &json!({"name": name}))
            .expect(202)
            .json();
        let id = made["id"].as_str().expect("an id").to_owned();
        let base = eventually(&format!("an active sub-account {name}"), LONG, || {
            let now = self
                .http
                .get(&format!("/api/v1/subaccounts/{id}"))
                .expect(200)
                .json();
            assert_ne!(now["status"], "failed", "{now}");
            (now["status"] == "active")
                .then(|| now["base_url"].as_str().expect("a base_url").to_owned())
        });
        Sub {
            http: self.http.under(&base),
            id,
        }
    }
}

/// One sub-account under its base URL.
pub struct Sub {
    /// With the agency's API key.
    pub http: Http,
    /// Its UUID.
    pub id: String,
}

impl Sub {
    /// Uploads a CSV as the body; gives the import's id.
    pub fn upload(&self, query: &str, csv: impl AsRef<[u8]>) -> Value {
        let path = format!("/api/v1/imports?{query}");
        self.http
            .post_bytes(&path, "text/csv", csv.as_ref())
            .expect(202)
            .json()["id"]
            .clone()
    }

    /// Waits until an import is done or failed, and gives its last state.
    pub fn import_end(&self, id: &Value) -> Value {
        self.import_end_within(id, LONG)
    }

    /// [`Sub::import_end`] with a deadline of the caller's.
    pub fn import_end_within(&self, id: &Value, deadline: Duration) -> Value {
        eventually(&format!("the end of import {id}"), deadline, || {
            let now = self
                .http
                .get(&format!("/api/v1/imports/{}", plain(id)))
                .expect(200)
                .json();
            matches!(now["status"].as_str(), Some("done" | "failed")).then_some(now)
        })
    }

    /// Uploads, waits, and expects that the file as such was fine.
    pub fn import(&self, query: &str, csv: impl AsRef<[u8]>) -> Value {
        let id = self.upload(query, csv);
        let end = self.import_end(&id);
        assert_eq!(end["status"], "done", "{end}");
        end
    }

    /// The failed rows of an import as CSV.
    pub fn errors_csv(&self, id: &Value) -> String {
        self.http
            .get(&format!("/api/v1/imports/{}/errors.csv", plain(id)))
            .expect(200)
            .text()
    }

    /// A mail sender at the sink; gives the profile.
    pub fn profile(&self, sink: &Sink) -> Value {
        self.profile_with(sink.settings())
    }

    /// A mail sender with these settings; gives the profile.
    pub fn profile_with(&self, settings: Value) -> Value {
        let body = json!({"name": "Ann", "type": "smtp", "settings": settings, "quotas": {}});
        self.http.post("/api/v1/profiles", &body).expect(201).json()
    }

    /// "When a lead is tagged, mail it"; gives the rule.
    pub fn rule(&self, tag: &str, subject: &str, body: &str) -> Value {
        self.http
            .post("/api/v1/rules", &rule(tag, subject, body))
            .expect(201)
            .json()
    }

    /// All leads that a query finds, over all pages.
    pub fn leads(&self, query: &str) -> Vec<Value> {
        self.list("/api/v1/leads", &format!("limit=200&{query}"))
    }

    /// All requests that a query finds, over all pages.
    pub fn requests(&self, query: &str) -> Vec<Value> {
        self.list("/api/v1/requests", query)
    }

    /// The requests as soon as there are `count` and all of them have ended.
    pub fn ended_requests(&self, count: usize, deadline: Duration) -> Vec<Value> {
        let is_over = |r: &Value| !matches!(r["status"].as_str(), Some("pending" | "running"));
        eventually(&format!("the end of {count} requests"), deadline, || {
            let requests = self.requests("kind=outreach");
            (requests.len() >= count && requests.iter().all(is_over)).then_some(requests)
        })
    }

    /// The only request for the lead with this address.
    pub fn request_to(&self, email: &str) -> Value {
        let leads = self.leads(&format!("email={}", encode(email)));
        assert_eq!(leads.len(), 1, "one lead with {email}");
        let of_lead = |r: &Value| r["lead_id"] == leads[0]["id"];
        let mut requests: Vec<_> = self
            .requests("kind=outreach")
            .into_iter()
            .filter(of_lead)
            .collect();
        assert!(requests.len() <= 1, "one request to {email}: {requests:?}");
        requests.pop().unwrap_or(Value::Null)
    }

    /// How many times `metric` was counted since yesterday.
    pub fn timeline(&self, metric: &str) -> i64 {
        let day = 24 * 3_600_000;
        let (from, to) = (now_ms() - day, now_ms() + day);
        let path = format!("/api/v1/timeline?metric={metric}&from={from}&to={to}&step=hour");
        let points = self.http.get(&path).expect(200).json();
        points["points"]
            .as_array()
            .expect("points")
            .iter()
            .filter_map(|p| p["n"].as_i64())
            .sum()
    }

    fn list(&self, path: &str, query: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self
                .http
                .get(&format!("{path}?{query}{cursor}"))
                .expect(200)
                .json();
            items.extend(page["items"].as_array().expect("items").iter().cloned());
            match &page["next_cursor"] {
                Value::Null => return items,
                next => cursor = format!("&cursor={}", encode(&plain(next))),
            }
        }
    }
}

/// The body of a rule "when a lead is tagged, mail it".
pub(super) fn rule(tag: &str, subject: &str, body: &str) -> Value {
    json!({
        "name": format!("Mail the {tag}"),
        "trigger": {"type": "tag_added", "tag": tag},
        "delay_s": 0,
        "action": {"type": "new_outreach", "outreach_type": "email", "subject": subject, "body": body},
    })
}

/// An id in a path: without the quotes of JSON.
fn plain(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// Percent-encodes a value of a query.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

impl Reply {
    /// The `id` of what was made, as it stands in a path.
    #[track_caller]
    pub fn id(&self) -> String {
        plain(&self.json()["id"])
    }
}
