//! Short statements that one node signs and another checks without asking anybody: JSON under an Ed25519 signature, as
//! JWS in its compact form (RFC 7515, RFC 8037). The master signs; slaves hold only the public key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::identity::Identity;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::auth;
use crate::context::{Config, LOCAL};
use crate::seal::Sealer;

/// How far the clocks of two nodes may be apart, in milliseconds.
pub const LEEWAY: i64 = 150_000;
/// The longest statement that is looked at, in bytes.
const LONGEST: usize = 128 * 1024;
/// The first part of everything that is signed here: `{"alg":"EdDSA","typ":"JWT"}`.
const HEADER: &str = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9";

/// Who the statement is by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Issuer {
    /// The master.
    Master,
    /// Whoever holds the master's data folder.
    Operator,
}

/// A worker that the master knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerIdentity {
    /// Its node's id (UUID), or `local` for the one that the slave's own host runs.
    pub id: String,
    /// Whether it also works for profiles that are assigned to nobody.
    pub unassigned: bool,
    /// Whether it is to take nothing new.
    #[serde(default)]
    pub draining: bool,
}

impl WorkerIdentity {
    /// The worker that a slave's own host runs.
    pub fn local() -> Self {
        WorkerIdentity {
            id: LOCAL.to_owned(),
            unassigned: true,
            draining: false,
        }
    }

    /// What its leases begin with: nobody else can use them.
    pub fn mark(&self) -> String {
        auth::token_hash("lease", &self.id)[..12].to_owned()
    }
}

/// What a statement says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Said {
    /// A credential belongs to somebody.
    Identity {
        /// Whom.
        identity: Identity,
    },
    /// A credential belongs to a worker.
    Worker {
        /// Which.
        worker: WorkerIdentity,
    },
    /// The master itself is calling.
    Master,
    /// The installation's operator is calling.
    Operator,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who says it.
    pub iss: Issuer,
    /// To whom: a node's id, or `master`.
    pub aud: String,
    /// About what: the hash of a credential, or a sub-account's id; empty when it is about nothing of the kind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sub: String,
    /// When it was said, in seconds.
    pub iat: i64,
    /// When it ends, in seconds.
    pub exp: i64,
    /// What.
    #[serde(flatten)]
    pub said: Said,
}

impl Claims {
    /// A statement of the master that holds for so many seconds.
    pub fn of_master(aud: &str, sub: &str, now: i64, seconds: i64, said: Said) -> Self {
        let iat = now.div_euclid(1000);
        Claims {
            iss: Issuer::Master,
            aud: aud.to_owned(),
            sub: sub.to_owned(),
            iat,
            exp: iat + seconds,
            said,
        }
    }

    /// How long it holds from when it was said, in milliseconds.
    pub fn lifetime(&self) -> i64 {
        (self.exp - self.iat).max(0).saturating_mul(1000)
    }
}

/// The master's end: signs.
pub struct Signer(SigningKey);

impl Signer {
    /// Signs for whoever `issuer` is, with a key derived from the operator's `secret_key`.
    pub fn new(issuer: Issuer, secret_key: &str) -> Self {
        let purpose = match issuer {
            Issuer::Master => "assertion",
            Issuer::Operator => "operator",
        };
        Signer(SigningKey::from_bytes(
            &Sealer::new(secret_key).key(purpose),
        ))
    }

    /// What others check its statements with, as text.
    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.verifying_key().as_bytes())
    }

    /// Signs a statement.
    pub fn sign(&self, claims: &Claims) -> String {
        let claims = serde_json::to_vec(claims).unwrap_or_default();
        let text = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = self.0.sign(text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}

/// The other end: checks.
pub struct Verifier {
    key: Option<VerifyingKey>,
    issuer: Issuer,
}

impl Verifier {
    /// Checks what the master says to this node.
    pub fn of_master(config: &Config) -> Self {
        let key = match (
            config.master_public_key.as_str(),
            config.secret_key.as_str(),
        ) {
            ("", "") => None,
            ("", secret) => Some(Signer::new(Issuer::Master, secret).0.verifying_key()),
            (public, _) => public_key(public),
        };
        Verifier {
            key,
            issuer: Issuer::Master,
        }
    }

    /// Checks what the operator says to the master.
    pub fn of_operator(secret_key: &str) -> Self {
        let key = Some(secret_key).filter(|secret| !secret.is_empty());
        Verifier {
            key: key.map(|secret| Signer::new(Issuer::Operator, secret).0.verifying_key()),
            issuer: Issuer::Operator,
        }
    }

    /// What a token says, if it was said by the one that this asks for, to `audience`, and still holds. Clocks may be
    /// [`LEEWAY`] apart, in either direction.
    pub fn check(&self, token: &str, audience: &str, now: i64) -> Option<Claims> {
        let claims: Claims = serde_json::from_slice(&signed(self.key.as_ref()?, token)?).ok()?;
        let begun = claims.iat.checked_mul(1000)? <= now + LEEWAY;
        let ended = claims.exp.checked_mul(1000)? <= now - LEEWAY;
        let right = claims.iss == self.issuer && claims.aud == audience;
        (right && begun && !ended).then_some(claims)
    }
}

fn public_key(text: &str) -> Option<VerifyingKey> {
    let bytes = URL_SAFE_NO_PAD.decode(text.trim()).ok()?;
    VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok()
}

/// The payload of a token with a good signature. No other algorithm is known here, and a token that asks for an
/// extension (`crit`) is refused as the standard demands.
fn signed(key: &VerifyingKey, token: &str) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
        crit: Option<serde_json::Value>,
    }
    if token.len() > LONGEST {
        return None;
    }
    let (text, signature) = token.rsplit_once('.')?;
    let (header, payload) = text.split_once('.')?;
    let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    if header.alg != "EdDSA" || header.crit.is_some() {
        return None;
    }
    let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    key.verify_strict(text.as_bytes(), &signature).ok()?;
    URL_SAFE_NO_PAD.decode(payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_262_400_000;

    fn config(secret: &str) -> Config {
        Config {
            secret_key: secret.into(),
            ..Config::default()
        }
    }

    fn token() -> String {
        let claims = Claims::of_master("node-1", "", NOW, 60, Said::Master);
        Signer::new(Issuer::Master, "secret").sign(&claims)
    }

    #[test]
    fn the_standards_example_is_signed_and_checked() {
        let seed = URL_SAFE_NO_PAD
            .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .unwrap();
        let key = SigningKey::from_bytes(&seed.try_into().unwrap());
        let text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert_eq!(
            URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()).to_bytes()),
            signature
        );
        let payload = signed(&key.verifying_key(), &format!("{text}.{signature}"));
        assert_eq!(payload.as_deref(), Some(&b"Example of Ed25519 signing"[..]));
    }

    #[test]
    fn a_statement_is_good_for_its_audience_and_its_time() {
        let (verifier, token) = (Verifier::of_master(&config("secret")), token());
        let good = |audience: &str, now: i64| verifier.check(&token, audience, now).is_some();
        assert!(good("node-1", NOW));
        assert!(!good("node-2", NOW), "another node's");
        for skew in [-120_000, 120_000] {
            assert!(good("node-1", NOW + skew), "clocks two minutes apart");
            assert!(good("node-1", NOW + 59_000 + skew));
        }
        assert!(!good("node-1", NOW + 60_000 + LEEWAY), "ended");
        assert!(!good("node-1", NOW - LEEWAY - 1000), "from the future");
    }

    #[test]
    fn nobody_else_can_make_one() {
        let own = token();
        let other = Verifier::of_master(&config("another secret"));
        assert_eq!(other.check(&own, "node-1", NOW), None);
        assert_eq!(
            Verifier::of_operator("secret").check(&own, "node-1", NOW),
            None
        );
        let nobody = Verifier::of_master(&Config::default());
        assert_eq!(nobody.check(&own, "node-1", NOW), None);

        let verifier = Verifier::of_master(&config("secret"));
        let parts: Vec<&str> = own.split('.').collect();
        let claims = URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
        let changed = String::from_utf8(claims)
            .unwrap()
            .replace("node-1", "node-2");
        let changed = URL_SAFE_NO_PAD.encode(changed);
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let hmac = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
        for made_up in [
            format!("{}.{changed}.{}", parts[0], parts[2]),
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{hmac}.{}.{}", parts[1], parts[2]),
            format!("{}.{}", parts[0], parts[1]),
            format!("{own}.{}", parts[2]),
            String::new(),
            "..".into(),
        ] {
            for audience in ["node-1", "node-2"] {
                assert_eq!(verifier.check(&made_up, audience, NOW), None, "{made_up}");
            }
        }
    }

    /// `sluice` makes the same text in its own test: the two must agree.
    #[test]
    fn the_operators_statement_is_taken() {
        let token = include_str!("../../../edge-native/tests/operator.jws");
        let said = Verifier::of_operator("secret").check(token, "master", NOW);
        assert_eq!(said.map(|claims| claims.said), Some(Said::Operator));
        assert_eq!(Verifier::of_operator("x").check(token, "master", NOW), None);
    }

    #[test]
    fn a_slave_needs_the_public_key_only() {
        let public = Signer::new(Issuer::Master, "secret").public_key();
        let slave = Config {
            master_public_key: public,
            secret_key: "the slave's own".into(),
            ..Config::default()
        };
        let said = Verifier::of_master(&slave).check(&token(), "node-1", NOW);
        assert_eq!(said.map(|claims| claims.said), Some(Said::Master));
        let broken = Config {
            master_public_key: "no key".into(),
            secret_key: "secret".into(),
            ..Config::default()
        };
        assert_eq!(
            Verifier::of_master(&broken).check(&token(), "node-1", NOW),
            None,
            "a key that cannot be read is no reason to take another one"
        );
    }
}
