//! Mailboxes, and the addresses on the network that a worker may talk to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A display name and an address, checked so that neither can break out of a header field or a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// What a mail program shows.
    pub name: Option<String>,
    /// `local@domain`; the domain in its ASCII form.
    pub address: String,
}

impl Mailbox {
    /// Reads `name <address>` or an address alone.
    ///
    /// # Errors
    /// A sentence for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let Some(inner) = text.strip_suffix('>') else {
            return Ok(Self {
                name: None,
                address: address(text)?,
            });
        };
        let (name, spec) = inner
            .rsplit_once('<')
            .ok_or_else(|| format!("{text:?} is not a mailbox"))?;
        Ok(Self {
            name: display_name(name)?,
            address: address(spec)?,
        })
    }

    /// An address with a name beside it.
    ///
    /// # Errors
    /// A sentence for a person.
    pub fn new(name: Option<&str>, spec: &str) -> Result<Self, String> {
        Ok(Self {
            name: display_name(name.unwrap_or(""))?,
            address: address(spec)?,
        })
    }
}

fn display_name(name: &str) -> Result<Option<String>, String> {
    let name = name.trim();
    if name.chars().any(char::is_control) {
        return Err(format!("the name {name:?} contains a control character"));
    }
    let quoted = name.len() >= 2 && name.starts_with('"') && name.ends_with('"');
    let plain = if quoted {
        let mut plain = String::new();
        let mut escaped = false;
        for c in name[1..name.len() - 1].chars() {
            if c == '\\' && !escaped {
                escaped = true;
                continue;
            }
            escaped = false;
            plain.push(c);
        }
        plain
    } else {
        name.to_owned()
    };
    Ok(Some(plain).filter(|n| !n.is_empty()))
}

/// Checks an address and gives it with its domain in ASCII.
///
/// # Errors
/// A sentence for a person.
pub fn address(spec: &str) -> Result<String, String> {
    let spec = spec.trim();
    let wrong = |why: &str| format!("{spec:?} is not a mail address: {why}");
    let (local, domain) = spec.rsplit_once('@').ok_or_else(|| wrong("it has no @"))?;
    if local.is_empty() || local.len() > 64 {
        return Err(wrong("the part before the @ must have 1 to 64 bytes"));
    }
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let refused = |c: char| {
        c.is_control()
            || c.is_whitespace()
            || if quoted {
                false
            } else {
                "<>()[]:;,\\\"@".contains(c)
            }
    };
    let inside = if quoted {
        &local[1..local.len() - 1]
    } else {
        local
    };
    if inside.chars().any(refused) || (quoted && has_bare_quote(inside)) {
        return Err(wrong(
            "the part before the @ has a character that is not allowed there",
        ));
    }
    if !quoted && (local.starts_with('.') || local.ends_with('.') || local.contains("..")) {
        return Err(wrong("its dots are misplaced"));
    }
    Ok(format!(
        "{local}@{}",
        domain_to_ascii(domain).map_err(|why| wrong(&why))?
    ))
}

fn has_bare_quote(inside: &str) -> bool {
    let mut escaped = false;
    for c in inside.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return true,
            _ => {}
        }
    }
    escaped
}

fn domain_to_ascii(domain: &str) -> Result<String, String> {
    if let Some(literal) = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')) {
        let ip = literal.strip_prefix("IPv6:").unwrap_or(literal);
        return match ip.parse::<IpAddr>() {
            Ok(_) => Ok(domain.to_owned()),
            Err(_) => Err("its address literal is wrong".into()),
        };
    }
    let ascii = host_to_ascii(domain).ok_or("its domain is wrong")?;
    let fine = !ascii.is_empty()
        && ascii.len() <= 253
        && ascii.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
    if fine {
        Ok(ascii)
    } else {
        Err("its domain is wrong".into())
    }
}

/// A host name in its ASCII form (IDNA); none when it has none.
pub fn host_to_ascii(host: &str) -> Option<String> {
    if host.is_ascii() {
        return Some(host.to_ascii_lowercase());
    }
    idna::domain_to_ascii(host).ok()
}

/// Whether an address is on the public internet: not this machine, not a private or link-local network, not
/// reserved, and no such IPv4 address in an IPv6 wrapping.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(a == 0
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 240)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    let low = |hi: u16, lo: u16| {
        let ([a, b], [c, d]) = (hi.to_be_bytes(), lo.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        // IPv4-mapped, and NAT64's well-known prefix.
        [0, 0, 0, 0, 0, 0xffff, hi, lo] | [0x64, 0xff9b, 0, 0, 0, 0, hi, lo] => low(hi, lo),
        // 6to4 carries its IPv4 address behind the prefix.
        [0x2002, hi, lo, ..] => low(hi, lo),
        // Teredo, benchmarks, ORCHID, documentation.
        [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
        [0x3fff, second, ..] => second >= 0x1000,
        // Global unicast is 2000::/3 and nothing else.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_are_read() {
        let read = |t: &str| {
            Mailbox::parse(t)
                .map(|m| (m.name.unwrap_or_default(), m.address))
                .unwrap()
        };
        assert_eq!(read("a@b.test"), (String::new(), "a@b.test".into()));
        assert_eq!(read(" <a@B.Test> "), (String::new(), "a@b.test".into()));
        assert_eq!(
            read("Ann Lee <a@b.test>"),
            ("Ann Lee".into(), "a@b.test".into())
        );
        assert_eq!(
            read("\"Lee, \\\"Ann\\\"\" <a@b.test>"),
            ("Lee, \"Ann\"".into(), "a@b.test".into())
        );
        assert_eq!(
            read("Zoë <zoë@bücher.test>"),
            ("Zoë".into(), "zoë@xn--bcher-kva.test".into())
        );
        assert_eq!(
            read("a@[127.0.0.1]"),
            (String::new(), "a@[127.0.0.1]".into())
        );
        assert_eq!(read("a@localhost"), (String::new(), "a@localhost".into()));
    }

    #[test]
    fn what_could_break_out_is_refused() {
        for bad in [
            "",
            "a",
            "@b.test",
            "a@",
            "a b@c.test",
            "a@b.test>\r\nRCPT TO:<x@y.test",
            "a\r\n@b.test",
            "a@b..test",
            "a..b@c.test",
            ".a@b.test",
            "a>b@c.test",
            "<a@b.test",
            "x<y>z",
            "a@b.test\0",
            "a@b@c.test",
            "\"a\"b\"@c.test",
            "a@[nonsense]",
            "Na\nme <a@b.test>",
            "a@b.test SIZE=1",
            "a,b@c.test",
        ] {
            assert!(Mailbox::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Mailbox::new(Some("x\r\nBcc: y"), "a@b.test").is_err());
    }

    #[test]
    fn public_addresses_are_told_from_the_rest() {
        for ip in [
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::101:101",
            "::ffff:1.1.1.1",
            "2002:101:101::1",
        ] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "0.0.0.0",
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }
}
