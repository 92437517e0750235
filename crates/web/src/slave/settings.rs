//! The settings of a sub-account: its brand, its logo. Host names are in [`super::custom_domain`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::brand::Brand;
use http::header::CONTENT_TYPE;
use serde_json::json;
use store::setting;

use crate::auth::token_hash;
use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::pages;
use crate::slave::Scope;

/// The largest logo, in bytes.
pub const LOGO_MAX: usize = 256 * 1024;
/// The longest postal address, in characters.
const ADDRESS_MAX: usize = 500;

/// Brand, and where the logo is.
///
/// # Errors
/// When the store fails.
pub fn get(scope: &Scope<'_>) -> Answer {
    let look = setting::look(&*scope.db)?;
    let base = scope.base_url()?;
    let logo = look.logo_version.map(|v| format!("{base}/logo?v={v}"));
    let body = json!({"name": scope.tenant.name, "brand": look.brand, "logo_url": logo});
    Ok(Response::json(200, &body))
}

/// Puts a brand in the place of the one before.
///
/// # Errors
/// 422 with the field that cannot be taken.
pub fn put_brand(scope: &Scope<'_>, brand: &Brand) -> Result<Brand, Problem> {
    let brand = checked(brand)?;
    // Workers hold the sender's name.
    scope.promising(&["profiles"], || {
        Ok(setting::put_brand(&*scope.db, &brand)?)
    })?;
    Ok(brand)
}

fn checked(brand: &Brand) -> Result<Brand, Problem> {
    let line = |field: &str, value: &Option<String>| {
        let filled = value.as_deref().filter(|v| !v.trim().is_empty());
        filled.map(|v| input::name(field, v)).transpose()
    };
    let reply_to = brand.reply_to.as_deref().filter(|v| !v.trim().is_empty());
    Ok(Brand {
        name: line("name", &brand.name)?,
        sender_name: line("sender_name", &brand.sender_name)?,
        reply_to: reply_to.map(|v| input::email("reply_to", v)).transpose()?,
        postal_address: address(brand.postal_address.as_deref())?,
        ..brand.clone()
    })
}

/// A postal address has lines, but no other control characters.
fn address(text: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(text) = text.map(str::trim).filter(|t| !t.is_empty()) else {
        return Ok(None);
    };
    let text = text.replace("\r\n", "\n");
    let refused = |message: String| Err(Problem::invalid("postal_address", message));
    if text.chars().count() > ADDRESS_MAX {
        return refused(format!("must have at most {ADDRESS_MAX} characters"));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return refused("must not have control characters".to_owned());
    }
    Ok(Some(text))
}

/// Puts a picture in the place of the logo: PNG, JPEG, GIF or WebP, known by its first bytes, not by its name. SVG may
/// carry scripts and is not taken.
///
/// # Errors
/// 413 for a large one, 415 for another format.
pub fn put_logo(scope: &Scope<'_>, bytes: &[u8]) -> Result<(), Problem> {
    if bytes.len() > LOGO_MAX {
        let detail = format!("A logo has at most {LOGO_MAX} bytes. The one before was kept.");
        return Err(Problem::new(413, "The logo is too large").detail(detail));
    }
    let media = media_type(bytes).ok_or_else(|| {
        Problem::new(415, "This is no picture we take")
            .detail("A logo is a PNG, JPEG, GIF or WebP file. The one before was kept.")
    })?;
    let logo = format!("{media};base64,{}", STANDARD.encode(bytes));
    Ok(setting::put_logo(
        &*scope.db,
        Some((&version(&logo), &logo)),
    )?)
}

/// Removes the logo.
///
/// # Errors
/// When the store fails.
pub fn delete_logo(scope: &Scope<'_>) -> Answer {
    setting::put_logo(&*scope.db, None)?;
    Ok(Response::no_content())
}

fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}

/// A short name of a content.
pub fn version(content: &str) -> String {
    token_hash("content", content)[..16].to_owned()
}

/// `GET {base}/logo`
///
/// # Errors
/// 404 without a logo.
pub fn logo(scope: &Scope<'_>, request: &Request) -> Answer {
    let logo = setting::logo(&*scope.db)?.ok_or_else(Problem::not_found)?;
    let (media, text) = logo.split_once(";base64,").ok_or_else(Problem::not_found)?;
    let bytes = STANDARD.decode(text).map_err(|_| Problem::not_found())?;
    let mut file = Response::asset("application/octet-stream", bytes);
    if let Ok(media) = media.parse() {
        file.headers.insert(CONTENT_TYPE, media);
    }
    Ok(pages::versioned(request, &version(&logo), "private", file))
}

/// `GET {base}/brand.css`
///
/// # Errors
/// When the store fails.
pub fn stylesheet(scope: &Scope<'_>, request: &Request) -> Answer {
    let css = setting::brand(&*scope.db)?.css();
    let version = version(&css);
    let file = Response::asset("text/css; charset=utf-8", css.into_bytes());
    Ok(pages::versioned(request, &version, "private", file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_known_by_their_first_bytes() {
        assert_eq!(media_type(b"\x89PNG\r\n\x1a\nrest"), Some("image/png"));
        assert_eq!(media_type(b"RIFF\0\0\0\0WEBPVP8 "), Some("image/webp"));
        for other in [
            &b"<svg onload=alert(1)>"[..],
            b"<html>",
            b"",
            b"RIFF\0\0\0\0WAVE",
            b"%PDF-1.7",
        ] {
            assert_eq!(media_type(other), None);
        }
    }

    #[test]
    fn a_brand_is_checked_field_by_field() {
        let brand =
            |json: serde_json::Value| serde_json::from_value::<Brand>(json).expect("a brand");
        let kept = checked(&brand(
            json!({"name": " Acme ", "reply_to": "Ana@Example.com", "sender_name": ""}),
        ));
        let kept = kept.expect("taken");
        assert_eq!(kept.name.as_deref(), Some("Acme"));
        assert_eq!(kept.reply_to.as_deref(), Some("ana@example.com"));
        assert_eq!(kept.sender_name, None);
        for (json, field) in [
            (json!({"name": "a\r\nBcc: b@example.com"}), "name"),
            (json!({"sender_name": "x\ny"}), "sender_name"),
            (json!({"reply_to": "nobody"}), "reply_to"),
            (json!({"postal_address": "a\u{0}b"}), "postal_address"),
        ] {
            let problem = checked(&brand(json)).expect_err("refused");
            assert_eq!(problem.errors[0].field, field);
        }
    }
}
