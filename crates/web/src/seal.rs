//! Secrets at rest and signed links.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Seals texts and signs links with keys derived from the operator's secret, each purpose its own key.
#[derive(Clone)]
pub struct Sealer {
    secret: String,
}

const NONCE: usize = 24;

impl Sealer {
    /// A sealer for the operator's `secret_key`.
    pub fn new(secret: &str) -> Self {
        Sealer {
            secret: secret.to_owned(),
        }
    }

    /// A key that is good for one purpose only.
    pub(crate) fn key(&self, purpose: &str) -> [u8; 32] {
        Sha256::new()
            .chain_update(purpose)
            .chain_update([0])
            .chain_update(&self.secret)
            .finalize()
            .into()
    }

    /// Encrypts a text (XChaCha20-Poly1305) for one place: sealed text that is moved elsewhere does not open.
    pub fn seal(&self, place: &str, text: &str) -> String {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).expect("the host gives random bytes");
        let cipher = XChaCha20Poly1305::new(&self.key(place).into());
        let sealed = cipher
            .encrypt(XNonce::from_slice(&nonce), text.as_bytes())
            .unwrap_or_default();
        URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
    }

    /// Opens what [`Sealer::seal`] made; none when the key or the place is another one, or the text was changed.
    pub fn open(&self, place: &str, sealed: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE)?;
        let cipher = XChaCha20Poly1305::new(&self.key(place).into());
        String::from_utf8(cipher.decrypt(XNonce::from_slice(nonce), sealed).ok()?).ok()
    }

    /// What the links of a sub-account are signed with here.
    pub fn link_key(&self, subaccount: &str) -> LinkKey {
        LinkKey(self.key(&format!("unsubscribe/{subaccount}")))
    }

    /// What they were signed with before sub-accounts could move: one key for all, so it never leaves its node.
    pub fn old_link_key(&self) -> LinkKey {
        LinkKey(self.key("unsubscribe"))
    }
}

/// Signs the links in a sub-account's mails. It goes along when the sub-account moves.
pub struct LinkKey([u8; 32]);

impl LinkKey {
    /// The key as text.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The key of such a text.
    pub fn of_text(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(LinkKey)
    }

    /// Where keys of a sub-account are sealed that it brought along.
    pub fn place(subaccount: &str) -> String {
        format!("link/{subaccount}")
    }

    fn mac(&self, subaccount: &str, lead_id: i64) -> Hmac<Sha256> {
        let mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0);
        let mut mac = mac.expect("HMAC takes a key of any length");
        mac.update(format!("{subaccount}/{lead_id}").as_bytes());
        mac
    }

    /// The secret part of a lead's unsubscribe link: the id and 128 bits that only we can make.
    pub fn sign_lead(&self, subaccount: &str, lead_id: i64) -> String {
        let tag = self.mac(subaccount, lead_id).finalize().into_bytes();
        format!("{lead_id}.{}", URL_SAFE_NO_PAD.encode(&tag[..16]))
    }

    /// The lead of an unsubscribe link, if it was made with this key.
    pub fn signed_lead(&self, subaccount: &str, text: &str) -> Option<i64> {
        let (lead_id, tag) = text.split_once('.')?;
        let lead_id = lead_id.parse().ok()?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok().filter(|t| t.len() == 16)?;
        self.mac(subaccount, lead_id)
            .verify_truncated_left(&tag)
            .ok()
            .map(|()| lead_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_only_in_its_place() {
        let sealer = Sealer::new("secret");
        let sealed = sealer.seal("a/profile", "pässword");
        assert_eq!(
            sealer.open("a/profile", &sealed).as_deref(),
            Some("pässword")
        );
        assert_eq!(sealer.open("b/profile", &sealed), None);
        assert_eq!(Sealer::new("other").open("a/profile", &sealed), None);
        assert_eq!(sealer.open("a/profile", "x"), None);
    }

    #[test]
    fn links_cannot_be_made_up_or_moved() {
        let key = Sealer::new("secret").link_key("a");
        let link = key.sign_lead("a", 7);
        let again = LinkKey::of_text(&key.text()).unwrap();
        assert_eq!(again.signed_lead("a", &link), Some(7));
        assert_eq!(key.signed_lead("b", &link), None);
        assert_eq!(key.signed_lead("a", &link.replace("7.", "8.")), None);
        assert_eq!(key.signed_lead("a", "7."), None);
        let other = Sealer::new("secret").link_key("b");
        assert_eq!(other.signed_lead("a", &link), None);
    }
}
