//! What an SMTP conversation means for the request: a pure function from what went wrong, and when, to an outcome.

use worker_api::Outcome;

use crate::smtp::reply::Reply;

/// The longest error or detail that is reported, in characters.
pub const MAX_TEXT: usize = 500;

/// Not before this long after a reply that asks to come back later (421, 450, 451), in milliseconds.
pub const COME_BACK_MS: i64 = 60_000;

/// Where in the conversation something happened, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Looking the host name up.
    Resolve,
    /// TCP.
    Connect,
    /// TLS, implicit or after STARTTLS.
    Tls,
    /// The server's first line.
    Greeting,
    /// EHLO.
    Hello,
    /// The STARTTLS command.
    StartTls,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA, until the server asks for the text.
    Data,
    /// The text, before its last line was handed to the network.
    Body,
    /// After the final dot may have reached the server.
    Final,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The server said no.
    Refused(Reply),
    /// The connection failed, broke or timed out.
    Lost(String),
    /// The server said what SMTP does not know.
    Garbled(String),
    /// The profile or the mail asks for what the server does not offer: (what is missing).
    NotOffered(&'static str),
    /// The host is, or resolves to, an address that this worker may not reach.
    Forbidden(String),
    /// The profile's settings or the mail cannot be used as they are.
    Unusable(String),
}

/// A [`Trouble`] and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub step: Step,
    /// What.
    pub trouble: Trouble,
}

impl Fault {
    /// A fault at `step`.
    pub fn new(step: Step, trouble: Trouble) -> Self {
        Self { step, trouble }
    }

    /// Whether the connection is gone or of no further use; otherwise `RSET` makes it ready again.
    pub fn ends_connection(&self) -> bool {
        match &self.trouble {
            Trouble::Refused(reply) => reply.code == 421 || self.step <= Step::Auth,
            Trouble::NotOffered(_) | Trouble::Unusable(_) => self.step <= Step::Auth,
            _ => true,
        }
    }

    /// Whether a connection that idled may simply have been closed meanwhile, so that a fresh one deserves one try.
    pub fn is_stale_connection(&self) -> bool {
        self.step < Step::Body
            && match &self.trouble {
                Trouble::Lost(_) => true,
                Trouble::Refused(reply) => matches!(reply.code, 421 | 503),
                _ => false,
            }
    }

    /// Whether it concerns the whole profile, not this one mail.
    pub fn is_of_profile(&self) -> bool {
        self.step <= Step::Auth
    }
}

/// The outcome of a mail that met `fault`.
pub fn of_fault(fault: &Fault) -> Outcome {
    let place = place(fault.step);
    match (&fault.trouble, fault.step) {
        (Trouble::Refused(reply), step) => of_refusal(reply, step),
        (Trouble::Lost(why), Step::Final) => Outcome::Uncertain {
            error: tidy(&format!(
                "the mail was handed over, but no answer came: {why}"
            )),
        },
        (Trouble::Garbled(why), Step::Final) => Outcome::Uncertain {
            error: tidy(&format!(
                "the mail was handed over, but the answer was not understood: {why}"
            )),
        },
        (Trouble::Lost(why), Step::Resolve) => retry(
            &format!("the mail server's name was not found: {why}"),
            None,
        ),
        (Trouble::Lost(why), Step::Connect) => retry(
            &format!("the mail server could not be reached: {why}"),
            None,
        ),
        (Trouble::Lost(why), Step::Tls) => {
            retry(&format!("no TLS with the mail server: {why}"), None)
        }
        (Trouble::Lost(why), _) => retry(
            &format!("the connection to the mail server was lost {place}: {why}"),
            None,
        ),
        (Trouble::Garbled(why), _) => retry(
            &format!("what the mail server said {place} was not understood: {why}"),
            None,
        ),
        (Trouble::NotOffered(what), step) if step <= Step::Auth => retry(
            &format!("the mail server does not offer {what}, which the profile asks for"),
            None,
        ),
        (Trouble::NotOffered(what), _) => Outcome::Failed {
            error: tidy(&format!(
                "the mail server does not offer {what}, which this mail needs"
            )),
        },
        (Trouble::Forbidden(why), _) => Outcome::Failed { error: tidy(why) },
        (Trouble::Unusable(why), _) => Outcome::Failed { error: tidy(why) },
    }
}

/// The outcome of a mail that the server took with `reply`.
pub fn of_acceptance(reply: &Reply) -> Outcome {
    Outcome::Performed {
        detail: tidy(&reply.to_string()),
    }
}

fn of_refusal(reply: &Reply, step: Step) -> Outcome {
    let what = subject(step);
    let later = matches!(reply.code, 421 | 450 | 451).then_some(COME_BACK_MS);
    match (reply.code, step) {
        (_, Step::Auth) => retry(&format!("authentication was refused: {reply}"), later),
        // The profile lacks credentials or they are not enough (RFC 4954): its fault, not the mail's.
        (530 | 534 | 535 | 538, Step::Mail | Step::Rcpt | Step::Data) => retry(
            &format!("the mail server wants authentication: {reply}"),
            None,
        ),
        // "Bad sequence of commands" says nothing of the mail.
        (503, Step::Mail | Step::Rcpt | Step::Data) => {
            retry(&format!("the mail server refused {what}: {reply}"), None)
        }
        (400..=499, _) => retry(
            &format!("the mail server refused {what} for now: {reply}"),
            later,
        ),
        (500..=599, Step::Mail | Step::Rcpt | Step::Data | Step::Body | Step::Final) => {
            Outcome::Failed {
                error: tidy(&format!("the mail server refused {what}: {reply}")),
            }
        }
        // An answer after the dot that is neither yes nor no.
        (_, Step::Final) => Outcome::Uncertain {
            error: tidy(&format!(
                "the mail was handed over, but the answer was not understood: {reply}"
            )),
        },
        // A server that refuses the connection as a whole may take it after it was repaired.
        _ => retry(&format!("the mail server refused {what}: {reply}"), later),
    }
}

fn retry(error: &str, after_ms: Option<i64>) -> Outcome {
    Outcome::Retry {
        error: tidy(error),
        after_ms,
    }
}

/// When something went wrong.
fn place(step: Step) -> &'static str {
    match step {
        Step::Resolve => "while its name was looked up",
        Step::Connect => "while connecting",
        Step::Tls => "in the TLS handshake",
        Step::Greeting => "at the greeting",
        Step::Hello => "at EHLO",
        Step::StartTls => "at STARTTLS",
        Step::Auth => "at AUTH",
        Step::Mail => "at MAIL FROM",
        Step::Rcpt => "at RCPT TO",
        Step::Data => "at DATA",
        Step::Body => "while the text was sent",
        Step::Final => "after the text was sent",
    }
}

/// What was refused.
fn subject(step: Step) -> &'static str {
    match step {
        Step::Resolve | Step::Connect | Step::Tls | Step::Greeting => "the connection",
        Step::Hello => "EHLO",
        Step::StartTls => "STARTTLS",
        Step::Auth => "the log-in",
        Step::Mail => "the sender",
        Step::Rcpt => "the recipient",
        Step::Data | Step::Body | Step::Final => "the mail",
    }
}

/// One line of at most [`MAX_TEXT`] characters without control characters.
pub fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_TEXT * 4));
    let words = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty());
    for (i, word) in words.enumerate() {
        if i > 0 {
            out.push(' ');
        }
        out.push_str(word);
    }
    if out.chars().count() > MAX_TEXT {
        out = out.chars().take(MAX_TEXT - 1).chain(['…']).collect();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Kind {
        Failed,
        Retry,
        RetryLater,
        Uncertain,
    }
    use Kind::*;

    fn kind(outcome: &Outcome) -> Kind {
        match outcome {
            Outcome::Failed { .. } => Failed,
            Outcome::Retry { after_ms: None, .. } => Retry,
            Outcome::Retry {
                after_ms: Some(ms), ..
            } if *ms >= 60_000 => RetryLater,
            Outcome::Uncertain { .. } => Uncertain,
            other => panic!("{other:?}"),
        }
    }

    const BEFORE: [Step; 11] = [
        Step::Resolve,
        Step::Connect,
        Step::Tls,
        Step::Greeting,
        Step::Hello,
        Step::StartTls,
        Step::Auth,
        Step::Mail,
        Step::Rcpt,
        Step::Data,
        Step::Body,
    ];

    #[test]
    fn replies_mean_what_rfc_5321_says() {
        let table = [
            (Step::Greeting, 421, RetryLater),
            (Step::Greeting, 554, Retry),
            (Step::Hello, 502, Retry),
            (Step::StartTls, 454, Retry),
            (Step::Auth, 535, Retry),
            (Step::Auth, 534, Retry),
            (Step::Auth, 454, Retry),
            (Step::Auth, 421, RetryLater),
            (Step::Mail, 421, RetryLater),
            (Step::Mail, 451, RetryLater),
            (Step::Mail, 452, Retry),
            (Step::Mail, 530, Retry),
            (Step::Mail, 503, Retry),
            (Step::Mail, 550, Failed),
            (Step::Mail, 552, Failed),
            (Step::Rcpt, 450, RetryLater),
            (Step::Rcpt, 451, RetryLater),
            (Step::Rcpt, 452, Retry),
            (Step::Rcpt, 550, Failed),
            (Step::Rcpt, 553, Failed),
            (Step::Data, 451, RetryLater),
            (Step::Data, 554, Failed),
            (Step::Final, 421, RetryLater),
            (Step::Final, 451, RetryLater),
            (Step::Final, 452, Retry),
            (Step::Final, 552, Failed),
            (Step::Final, 554, Failed),
            (Step::Final, 354, Uncertain),
        ];
        for (step, code, want) in table {
            let reply = Reply {
                code,
                text: "why".into(),
            };
            let outcome = of_fault(&Fault::new(step, Trouble::Refused(reply)));
            assert_eq!(kind(&outcome), want, "{step:?} {code}: {outcome:?}");
        }
    }

    #[test]
    fn a_broken_connection_is_a_retry_before_the_dot_and_uncertain_after() {
        for step in BEFORE {
            for trouble in [Trouble::Lost("x".into()), Trouble::Garbled("x".into())] {
                assert_eq!(
                    kind(&of_fault(&Fault::new(step, trouble))),
                    Retry,
                    "{step:?}"
                );
            }
        }
        for trouble in [Trouble::Lost("x".into()), Trouble::Garbled("x".into())] {
            assert_eq!(
                kind(&of_fault(&Fault::new(Step::Final, trouble))),
                Uncertain
            );
        }
    }

    #[test]
    fn what_is_not_offered_is_the_profiles_matter_early_and_the_mails_matter_late() {
        assert_eq!(
            kind(&of_fault(&Fault::new(
                Step::StartTls,
                Trouble::NotOffered("STARTTLS")
            ))),
            Retry
        );
        assert_eq!(
            kind(&of_fault(&Fault::new(
                Step::Auth,
                Trouble::NotOffered("AUTH")
            ))),
            Retry
        );
        assert_eq!(
            kind(&of_fault(&Fault::new(
                Step::Mail,
                Trouble::NotOffered("SMTPUTF8")
            ))),
            Failed
        );
        assert_eq!(
            kind(&of_fault(&Fault::new(
                Step::Connect,
                Trouble::Forbidden("no".into())
            ))),
            Failed
        );
        assert_eq!(
            kind(&of_fault(&Fault::new(
                Step::Mail,
                Trouble::Unusable("no".into())
            ))),
            Failed
        );
    }

    #[test]
    fn only_a_fault_before_the_text_makes_a_second_connection_worth_while() {
        let lost = || Trouble::Lost("x".into());
        assert!(Fault::new(Step::Mail, lost()).is_stale_connection());
        assert!(!Fault::new(Step::Body, lost()).is_stale_connection());
        assert!(!Fault::new(Step::Final, lost()).is_stale_connection());
        let no = |code| {
            Trouble::Refused(Reply {
                code,
                text: String::new(),
            })
        };
        assert!(Fault::new(Step::Mail, no(421)).is_stale_connection());
        assert!(!Fault::new(Step::Rcpt, no(550)).is_stale_connection());
        assert!(!Fault::new(Step::Rcpt, no(550)).ends_connection());
        assert!(Fault::new(Step::Rcpt, no(421)).ends_connection());
    }

    #[test]
    fn what_went_wrong_is_a_sentence_at_every_step() {
        let said = |step, trouble| match of_fault(&Fault::new(step, trouble)) {
            Outcome::Failed { error }
            | Outcome::Retry { error, .. }
            | Outcome::Uncertain { error } => error,
            other => panic!("{other:?}"),
        };
        let lost = |step| said(step, Trouble::Lost("no answer within 60 s".into()));
        assert_eq!(
            lost(Step::Greeting),
            "the connection to the mail server was lost at the greeting: no answer within 60 s"
        );
        assert_eq!(
            lost(Step::Rcpt),
            "the connection to the mail server was lost at RCPT TO: no answer within 60 s"
        );
        assert_eq!(
            said(Step::Greeting, Trouble::Garbled("HTTP/1.1 400".into())),
            "what the mail server said at the greeting was not understood: HTTP/1.1 400"
        );
        let refused = |step| {
            let text = "no".into();
            said(step, Trouble::Refused(Reply { code: 554, text }))
        };
        assert_eq!(
            refused(Step::Greeting),
            "the mail server refused the connection: 554 no"
        );
        assert_eq!(
            refused(Step::Data),
            "the mail server refused the mail: 554 no"
        );
        for step in [
            Step::Hello,
            Step::StartTls,
            Step::Auth,
            Step::Mail,
            Step::Data,
        ] {
            let (lost, refused) = (lost(step), refused(step));
            assert!(lost.contains("lost at "), "{lost}");
            assert!(!refused.contains("refused at"), "{refused}");
        }
    }

    #[test]
    fn texts_are_one_short_line() {
        let long = format!("a\r\nb\u{0} {}", "é".repeat(2000));
        let text = tidy(&long);
        assert!(text.starts_with("a b é"));
        assert_eq!(text.chars().count(), MAX_TEXT);
        assert!(!text.contains(['\r', '\n', '\0']));
    }
}
