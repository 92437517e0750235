//! Codes of authenticator apps (RFC 6238: SHA-1, six digits, thirty seconds) and the picture that carries their secret.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, Mac};
use qrcodegen::{QrCode, QrCodeEcc};
use sha1::Sha1;
use subtle::ConstantTimeEq;

/// How long a code is shown, in milliseconds.
const STEP: i64 = 30_000;
/// Bytes of a secret: as many as its hash gives (RFC 4226, section 4).
pub const SECRET: usize = 20;

/// The step that a time is in.
pub fn step_at(now: i64) -> i64 {
    now.div_euclid(STEP)
}

/// The code of a step.
pub fn code(secret: &[u8], step: i64) -> String {
    let mac = <Hmac<Sha1> as Mac>::new_from_slice(secret);
    let mut mac = mac.expect("HMAC takes a key of any length");
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash[19] & 0x0f);
    let number = u32::from_be_bytes([hash[at] & 0x7f, hash[at + 1], hash[at + 2], hash[at + 3]]);
    format!("{:06}", number % 1_000_000)
}

/// The step whose code this is, if it is a current one that comes after the last one used. Clocks may be half a minute
/// apart.
pub fn verify(secret: &[u8], given: &str, now: i64, last_step: i64) -> Option<i64> {
    let current = step_at(now);
    let fits = |step: &i64| bool::from(code(secret, *step).as_bytes().ct_eq(given.as_bytes()));
    let mut steps = (current - 1..=current + 1).filter(|step| *step > last_step);
    steps.find(fits)
}

/// The secret as people type it.
pub fn base32(secret: &[u8]) -> String {
    BASE32_NOPAD.encode(secret)
}

/// The secret of a text that [`base32`] made.
pub fn of_base32(text: &str) -> Option<Vec<u8>> {
    BASE32_NOPAD.decode(text.as_bytes()).ok()
}

/// The address that authenticator apps read.
pub fn uri(secret: &[u8], email: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("secret", &base32(secret));
    query.append_pair("issuer", "Sluice");
    let email: String = url::form_urlencoded::byte_serialize(email.as_bytes()).collect();
    format!("otpauth://totp/Sluice:{email}?{}", query.finish())
}

/// A text as a QR code in SVG; none when it is too long for one.
pub fn svg(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let (size, margin) = (code.size(), 4);
    let mut path = String::new();
    for y in 0..size {
        for x in (0..size).filter(|x| code.get_module(*x, y)) {
            path.push_str(&format!("M{},{}h1v1h-1z", x + margin, y + margin));
        }
    }
    let side = size + 2 * margin;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" role=\"img\" aria-label=\"QR code\" \
         shape-rendering=\"crispEdges\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC: &[u8; 20] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(RFC, step_at(seconds * 1000)), expected, "{seconds}");
        }
    }

    #[test]
    fn a_code_is_good_once_and_near_its_time() {
        let now = 1_795_262_400_000;
        let step = step_at(now);
        let current = code(RFC, step);
        assert_eq!(verify(RFC, &current, now, 0), Some(step));
        assert_eq!(verify(RFC, &current, now + STEP, 0), Some(step));
        assert_eq!(verify(RFC, &current, now - STEP, 0), Some(step));
        assert_eq!(verify(RFC, &current, now + 2 * STEP, 0), None);
        assert_eq!(verify(RFC, &current, now, step), None, "used");
        assert_eq!(verify(RFC, &code(RFC, step - 1), now, step), None, "older");
        assert_eq!(verify(RFC, "", now, 0), None);
    }

    #[test]
    fn the_picture_is_made_of_numbers_alone() {
        let uri = uri(RFC, "zoë+\"<x>@agency.test");
        assert!(
            uri.starts_with("otpauth://totp/Sluice:zo%C3%AB%2B%22%3Cx%3E%40agency.test?secret=")
        );
        let svg = svg(&uri).unwrap();
        assert!(svg.starts_with("<svg ") && !svg.contains("agency"));
        assert_eq!(of_base32(&base32(RFC)).as_deref(), Some(&RFC[..]));
    }
}
