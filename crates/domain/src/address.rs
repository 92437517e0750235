//! E-mail addresses (RFC 5321 mailboxes, without the exotic forms nobody mails).

/// Why a text is not an address that mail can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `@`, or more than one.
    #[error("an e-mail address has exactly one @")]
    At,
    /// The part before the `@` is empty, too long (64 octets), or has a character that needs quoting.
    #[error("the part before the @ is not valid")]
    Local,
    /// The part after the `@` is not a domain name with at least two labels.
    #[error("the part after the @ is not a domain name")]
    Domain,
}

/// Brings an address to the form it is stored in: without spaces around it, `mailto:` or angle brackets, in lower case.
/// A domain that has letters beyond ASCII stays in the [form](forms) it is written in.
///
/// The local part is folded too: RFC 5321 lets servers tell `Ann@` from `ann@`, and none that matters does.
///
/// # Errors
/// [`AddressError`] names the part that is wrong.
pub fn normalize(text: &str) -> Result<String, AddressError> {
    let text =
        text.trim_matches(|c: char| c.is_whitespace() || c == '<' || c == '>' || c == '\u{feff}');
    let text = match text.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => text[7..].trim_start(),
        _ => text,
    };
    let (local, domain) = text.split_once('@').ok_or(AddressError::At)?;
    if domain.contains('@') {
        return Err(AddressError::At);
    }
    if !is_local(local) {
        return Err(AddressError::Local);
    }
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let domain = match is_domain(domain) {
        true => domain.to_lowercase(),
        false => self::domain(domain).ok_or(AddressError::Domain)?,
    };
    Ok(format!("{}@{domain}", local.to_lowercase()))
}

/// The forms in which a normalised address may be stored, its own first: a domain beyond ASCII is written in the letters
/// of its language or in those of the DNS (`exämple.test` is `xn--exmple-cua.test`), and both are one mailbox.
pub fn forms(address: &str) -> Vec<String> {
    let mut forms = vec![address.to_owned()];
    let Some((local, domain)) = address.split_once('@') else {
        return forms;
    };
    if domain.is_ascii() && !domain.contains("xn--") {
        return forms;
    }
    let (unicode, known) = idna::domain_to_unicode(domain);
    let ascii = idna::domain_to_ascii(domain);
    for other in known.map(|()| unicode).into_iter().chain(ascii) {
        let other = format!("{local}@{other}");
        if !forms.contains(&other) {
            forms.push(other);
        }
    }
    forms
}

/// A domain name with at least two labels in the one form it is compared in: lower case, without the dot at the end, and
/// in the letters of its language where it has some (`xn--exmple-cua.test` is `exämple.test`).
pub fn domain(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let lower = text.to_lowercase();
    if lower.is_ascii() && !lower.contains("xn--") {
        return is_domain(&lower).then_some(lower);
    }
    match idna::domain_to_unicode(&lower) {
        (unicode, Ok(())) if is_domain(&unicode) => Some(unicode),
        _ => is_domain(&lower).then_some(lower),
    }
}

fn is_local(local: &str) -> bool {
    let atext = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    !local.is_empty()
        && local.len() <= 64
        && local.chars().all(atext)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
}

fn is_domain(domain: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    domain.len() <= 253 && domain.contains('.') && domain.split('.').all(label)
}

/// The address inside a `From` mailbox: `Ann <ann@agency.test>` or an address alone.
///
/// # Errors
/// [`AddressError`] when there is no valid address, or when the text has a line break.
pub fn of_mailbox(mailbox: &str) -> Result<String, AddressError> {
    if mailbox.contains(['\r', '\n']) {
        return Err(AddressError::Local);
    }
    match (mailbox.rfind('<'), mailbox.trim_end().strip_suffix('>')) {
        (Some(open), Some(_)) => normalize(&mailbox[open..]),
        (None, None) => normalize(mailbox),
        _ => Err(AddressError::Local),
    }
}

/// A LinkedIn profile in the one form it is compared in: `linkedin.com/in/name`. None when it is not one.
pub fn linkedin(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let text = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or(text);
    let (host, path) = text.split_once('/')?;
    let host_ok = host == "linkedin.com" || host.ends_with(".linkedin.com");
    let path = path.trim_end_matches('/');
    (host_ok && path.len() > 3).then(|| format!("linkedin.com/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_form() {
        for text in [
            "ann@x.test",
            " Ann@X.Test ",
            "mailto:ann@x.test",
            "<ann@x.test>",
            "ANN@x.test.",
        ] {
            assert_eq!(normalize(text).as_deref(), Ok("ann@x.test"), "{text}");
        }
        assert_eq!(
            normalize("zoë@exämple.test").as_deref(),
            Ok("zoë@exämple.test")
        );
    }

    #[test]
    fn international_domains_stay_as_they_are_written_and_have_both_forms() {
        let (dns, own) = ("ann@xn--exmple-cua.test", "ann@exämple.test");
        for (text, stored, other) in [
            ("ann@XN--exmple-cua.test", dns, own),
            ("Ann@EXÄMPLE.test", own, dns),
            ("ann@exa\u{308}mple.test", own, dns),
        ] {
            assert_eq!(normalize(text).as_deref(), Ok(stored), "{text}");
            assert_eq!(forms(stored), [stored, other]);
        }
        for alone in ["ann@x.test", "ann@xn--.test", "ann"] {
            assert_eq!(forms(alone), [alone]);
        }
        assert_eq!(
            domain("xn--exmple-cua.test").as_deref(),
            Some("exämple.test")
        );
    }

    #[test]
    fn what_cannot_be_mailed_is_refused_by_part() {
        for (text, error) in [
            ("", AddressError::At),
            ("ann", AddressError::At),
            ("a@b@c.test", AddressError::At),
            ("@x.test", AddressError::Local),
            ("a b@x.test", AddressError::Local),
            ("a..b@x.test", AddressError::Local),
            ("a\r\nBcc: x@x.test", AddressError::Local),
            ("ann@localhost", AddressError::Domain),
            ("ann@-x.test", AddressError::Domain),
            ("ann@x_y.test", AddressError::Domain),
        ] {
            assert_eq!(normalize(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_mailbox_carries_an_address() {
        assert_eq!(
            of_mailbox("Ann B. <ann@x.test>").as_deref(),
            Ok("ann@x.test")
        );
        assert_eq!(of_mailbox("ann@x.test").as_deref(), Ok("ann@x.test"));
        assert!(of_mailbox("Ann <ann@x.test>\r\nBcc: b@x.test").is_err());
        assert!(of_mailbox("Ann <ann@x.test").is_err());
    }

    #[test]
    fn linkedin_profiles_have_one_form() {
        for text in [
            "https://www.linkedin.com/in/Ann-B/",
            "linkedin.com/in/ann-b?x=1",
            "http://de.linkedin.com/in/ann-b",
        ] {
            assert_eq!(
                linkedin(text).as_deref(),
                Some("linkedin.com/in/ann-b"),
                "{text}"
            );
        }
        assert_eq!(linkedin("https://example.test/in/ann"), None);
        assert_eq!(linkedin("ann"), None);
    }
}
