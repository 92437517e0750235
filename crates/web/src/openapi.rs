//! The description of the API (OpenAPI 3.1).

use crate::http::Response;

/// The document, as it is served and as the tests read it.
pub const DOCUMENT: &str = include_str!("../openapi.json");

/// `GET /openapi.json`
pub fn answer() -> Response {
    Response::json_text(200, DOCUMENT.to_owned())
}
