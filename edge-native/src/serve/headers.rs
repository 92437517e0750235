//! The `spin-…` headers that tell a component about its route and its client.

use crate::config::route::Pattern;
use http::{HeaderMap, HeaderName, HeaderValue, Request};

const FULL_URL: HeaderName = HeaderName::from_static("spin-full-url");
const PATH_INFO: HeaderName = HeaderName::from_static("spin-path-info");
const CLIENT: HeaderName = HeaderName::from_static("spin-client-addr");
const MATCHED: HeaderName = HeaderName::from_static("spin-matched-route");
const RAW_COMPONENT: HeaderName = HeaderName::from_static("spin-raw-component-route");
const COMPONENT: HeaderName = HeaderName::from_static("spin-component-route");
const BASE: HeaderName = HeaderName::from_static("spin-base-path");

/// The headers that are the same for every request of a route.
#[derive(Debug, Clone)]
pub struct RouteHeaders {
    matched: HeaderValue,
    component: HeaderValue,
}

impl RouteHeaders {
    /// The headers of a public route.
    pub fn new(pattern: &Pattern) -> Self {
        Self {
            matched: value(pattern.raw()),
            component: value(pattern.base()),
        }
    }

    /// The headers of a component that another one calls.
    pub fn internal() -> Self {
        let matched = HeaderValue::from_static("/...");
        Self {
            matched,
            component: HeaderValue::from_static(""),
        }
    }

    /// Sets Spin's headers; the URI is absolute already.
    pub fn apply<B>(
        &self,
        request: &mut Request<B>,
        rest: &str,
        params: &[(String, String)],
        client: &HeaderValue,
    ) {
        let path_info = value(rest);
        strip(request.headers_mut());
        let full_url = value(&request.uri().to_string());
        let headers = request.headers_mut();
        headers.insert(FULL_URL, full_url);
        headers.insert(PATH_INFO, path_info);
        headers.insert(CLIENT, client.clone());
        headers.insert(MATCHED, self.matched.clone());
        headers.insert(RAW_COMPONENT, self.matched.clone());
        headers.insert(COMPONENT, self.component.clone());
        headers.insert(BASE, HeaderValue::from_static("/"));
        for (name, found) in params {
            if let Ok(name) = HeaderName::try_from(format!("spin-path-match-{name}")) {
                headers.insert(name, value(found));
            }
        }
    }
}

/// Nobody outside says what only the host knows.
fn strip(headers: &mut HeaderMap) {
    let ours = |name: &&HeaderName| name.as_str().starts_with("spin-");
    if headers.keys().any(|name| ours(&name)) {
        let names: Vec<HeaderName> = headers.keys().filter(ours).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_learns_its_route_and_nobody_forges_it() {
        let pattern = Pattern::parse("/s/:id/...").unwrap();
        let mut request = Request::builder()
            .uri("http://a.example:3000/s/7/leads?x=1")
            .header("spin-client-addr", "6.6.6.6:6")
            .header("spin-evil", "1")
            .body(())
            .unwrap();
        let client = HeaderValue::from_static("1.2.3.4:5");
        let params = [("id".to_owned(), "7".to_owned())];
        RouteHeaders::new(&pattern).apply(&mut request, "/leads", &params, &client);
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(
            header("spin-full-url"),
            "http://a.example:3000/s/7/leads?x=1"
        );
        assert_eq!(header("spin-path-info"), "/leads");
        assert_eq!(header("spin-matched-route"), "/s/:id/...");
        assert_eq!(header("spin-component-route"), "/s/:id");
        assert_eq!(header("spin-path-match-id"), "7");
        assert_eq!(header("spin-client-addr"), "1.2.3.4:5");
        assert_eq!(header("spin-base-path"), "/");
        assert!(!request.headers().contains_key("spin-evil"));
    }
}
