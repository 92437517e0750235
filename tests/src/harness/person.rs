//! What a person does to be let in.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, Mac};
use serde_json::json;
use sha1::Sha1;

use super::{Agency, Http, Sluice, now_ms};

/// A further session of an agency's owner, with the password alone.
#[track_caller]
pub fn log_in(sluice: &Sluice, agency: &Agency) -> Http {
    let body = json!({"email": agency.email, "password": agency.password});
    let reply = sluice.http().post("/api/v1/login", &body).expect(200);
    let cookie = reply.cookie().expect("a session cookie");
    sluice.http().with_session(&cookie)
}

/// What an authenticator app shows so many steps of half a minute from now (RFC 6238), for a secret as it is typed.
pub fn totp(secret: &str, ahead: i64) -> String {
    let secret = BASE32_NOPAD.decode(secret.as_bytes()).expect("base32");
    let step = now_ms() / 30_000 + ahead;
    let mut mac = <Hmac<Sha1> as Mac>::new_from_slice(&secret).expect("a key of any length");
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash[19] & 15);
    let word: [u8; 4] = hash[at..at + 4].try_into().expect("four bytes");
    let number = u32::from_be_bytes(word) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}
