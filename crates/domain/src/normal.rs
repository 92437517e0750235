//! The one form in which names, numbers and addresses of the web are stored, however a file writes them. What is not
//! understood is kept as it came: a cell is never lost for being odd.

use std::sync::LazyLock;

use crate::address;

/// A person's name: one space between words, and no name in capitals only (`ANN-MARIE SMITH` is `Ann-Marie Smith`).
/// Up to three letters may be initials and stay.
pub fn name(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let words = text
        .split_whitespace()
        .map(|word| word.trim_matches(['\u{200b}', '\u{feff}']));
    for word in words.filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    let letters = || out.chars().filter(|c| c.is_alphabetic());
    let shouted = letters().count() > 3 && letters().all(char::is_uppercase);
    if shouted { calm(&out) } else { out }
}

/// Capitals only where a part of a name begins.
fn calm(text: &str) -> String {
    let mut before = ' ';
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match before.is_alphabetic() {
            true => out.extend(c.to_lowercase()),
            false => out.push(c),
        }
        before = c;
    }
    out
}

/// A LinkedIn profile's address: `https://www.linkedin.com/in/ann-b`. Anything else stays as it is.
pub fn linkedin(text: &str) -> String {
    match address::linkedin(text) {
        Some(profile) if profile.starts_with("linkedin.com/in/") => {
            format!("https://www.{profile}")
        }
        _ => text.trim().to_owned(),
    }
}

/// A Facebook profile's or page's address: `https://www.facebook.com/ann.b`. Anything else stays as it is.
pub fn facebook(text: &str) -> String {
    let text = text.trim();
    let (host, path) = host_and_path(text);
    let is_facebook = ["facebook.com", "fb.com"]
        .iter()
        .any(|own| host == *own || host.strip_suffix(own).is_some_and(|sub| sub.ends_with('.')));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let path = path.split('#').next().unwrap_or_default();
    let path = path.trim_matches('/');
    if !is_facebook || path.is_empty() {
        return text.to_owned();
    }
    // People without a name of their own are numbers in the query.
    let id = query.split('&').find(|part| part.starts_with("id="));
    match (path, id) {
        ("profile.php", Some(id)) => format!("https://www.facebook.com/profile.php?{id}"),
        _ => format!("https://www.facebook.com/{path}"),
    }
}

/// A company's domain: `acme.test` of `https://www.Acme.test/about`. Anything else stays as it is.
pub fn domain(text: &str) -> String {
    let text = text.trim();
    let (host, _) = host_and_path(text);
    let host = host.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let host = host.strip_prefix("www.").unwrap_or(host);
    match address::domain(host) {
        Some(domain) => domain,
        None => text.to_owned(),
    }
}

/// The host in lower case, and what comes after it.
fn host_and_path(text: &str) -> (String, &str) {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    (host.to_lowercase(), path)
}

/// Calling codes by country, and what numbers begin with when they are dialled inside it (`-` for nothing).
const COUNTRIES: &str = "AD 376 -|AE 971 0|AF 93 0|AL 355 0|AM 374 0|AO 244 -|AR 54 0|AT 43 0|AU 61 0|AZ 994 0|BA 387 0|\
BB 1 1|BD 880 0|BE 32 0|BF 226 -|BG 359 0|BH 973 -|BJ 229 -|BN 673 -|BO 591 0|BR 55 0|BS 1 1|BW 267 -|BY 375 80|BZ 501 -|\
CA 1 1|CD 243 0|CH 41 0|CI 225 -|CL 56 -|CM 237 -|CN 86 0|CO 57 0|CR 506 -|CY 357 -|CZ 420 -|DE 49 0|DK 45 -|DO 1 1|\
DZ 213 0|EC 593 0|EE 372 -|EG 20 0|ES 34 -|ET 251 0|FI 358 0|FJ 679 -|FR 33 0|GB 44 0|GE 995 0|GH 233 0|GI 350 -|GR 30 -|\
GT 502 -|HK 852 -|HN 504 -|HR 385 0|HT 509 -|HU 36 06|ID 62 0|IE 353 0|IL 972 0|IN 91 0|IQ 964 0|IR 98 0|IS 354 -|IT 39 -|\
JM 1 1|JO 962 0|JP 81 0|KE 254 0|KG 996 0|KH 855 0|KR 82 0|KW 965 -|KZ 7 8|LA 856 0|LB 961 0|LI 423 -|LK 94 0|LT 370 0|\
LU 352 -|LV 371 -|MA 212 0|MC 377 -|MD 373 0|ME 382 0|MG 261 0|MK 389 0|MM 95 0|MN 976 0|MO 853 -|MT 356 -|MU 230 -|\
MX 52 -|MY 60 0|MZ 258 -|NA 264 0|NG 234 0|NI 505 -|NL 31 0|NO 47 -|NP 977 0|NZ 64 0|OM 968 -|PA 507 -|PE 51 0|PH 63 0|\
PK 92 0|PL 48 -|PR 1 1|PT 351 -|PY 595 0|QA 974 -|RO 40 0|RS 381 0|RU 7 8|RW 250 0|SA 966 0|SE 46 0|SG 65 -|SI 386 0|\
SK 421 0|SN 221 -|SV 503 -|SY 963 0|TH 66 0|TN 216 -|TR 90 0|TT 1 1|TW 886 0|TZ 255 0|UA 380 0|UG 256 0|US 1 1|UY 598 0|\
UZ 998 -|VE 58 0|VN 84 0|ZA 27 0|ZM 260 0|ZW 263 0";

/// [`COUNTRIES`], taken apart once: every cell of every file asks.
static TABLE: LazyLock<Vec<[&str; 3]>> = LazyLock::new(|| {
    let entry = |entry: &'static str| {
        let mut parts = entry.split(' ');
        let (country, code, prefix) = (parts.next()?, parts.next()?, parts.next()?);
        Some([country, code, prefix.trim_start_matches('-')])
    };
    COUNTRIES.split('|').filter_map(entry).collect()
});

/// The calling code of a country and the prefix of numbers inside it.
fn calling_code(country: &str) -> Option<(&'static str, &'static str)> {
    let entry = TABLE.iter().find(|[name, ..]| *name == country);
    entry.map(|[_, code, prefix]| (*code, *prefix))
}

/// Whether numbers of a country can be completed; the country is two capital letters (ISO 3166).
pub fn is_phone_country(country: &str) -> bool {
    calling_code(country).is_some()
}

/// The countries whose numbers can be completed, in the order of their codes.
pub fn phone_countries() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|[country, ..]| *country)
}

/// A phone number as ITU-T E.164 writes it: `+493012345`. A number that names no country is one of `country`; without
/// that, and when it is no number at all, it stays as it is.
pub fn phone(text: &str, country: Option<&str>) -> String {
    e164(text, country).unwrap_or_else(|| text.trim().to_owned())
}

/// None when it is unclear which number is meant: a wrong one is worse than one that a person can still read.
fn e164(text: &str, country: Option<&str>) -> Option<String> {
    let text = text.trim();
    let text = without_extension(text.strip_prefix("tel:").unwrap_or(text))?;
    let is_known = |c: char| c.is_ascii_digit() || " +-–./()\u{a0}'".contains(c);
    if !text.chars().all(is_known) || is_two(text) {
        return None;
    }
    // `+44 (0)20` has a digit that nobody dials from abroad.
    let (number, bare) = (digits(text), digits(&text.replacen("(0)", "", 1)));
    let home = country.and_then(calling_code);
    let abroad = match home {
        Some(("1", _)) => "011",
        _ => "00",
    };
    let whole = if text.contains('+') {
        from_abroad(&number, &bare)?.to_owned()
    } else if let (Some(number), Some(bare)) =
        (number.strip_prefix(abroad), bare.strip_prefix(abroad))
    {
        from_abroad(number, bare)?.to_owned()
    } else {
        let (code, prefix) = home?;
        format!("{code}{}", inside(&number, code, prefix)?)
    };
    let fits = (8..=15).contains(&whole.len()) && !whole.starts_with('0');
    fits.then(|| format!("+{whole}"))
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// A number before `ext. 12`, `x12` or `#12`. None when something else comes after it, as in `4.93012E+11`.
fn without_extension(text: &str) -> Option<&str> {
    let Some(end) = text.find(|c: char| c.is_alphabetic() || c == '#') else {
        return Some(text);
    };
    let (number, after) = text.split_at(end);
    let after = after.to_lowercase();
    let marks = ["extension", "ext", "x", "#"];
    let extension = marks.iter().find_map(|mark| after.strip_prefix(mark))?;
    let extension = extension.trim_start_matches(['.', ':', ' ']);
    let is_one = !extension.is_empty() && extension.chars().all(|c| c.is_ascii_digit());
    is_one.then(|| number.trim_end_matches([' ', ',', ';']))
}

/// Whether a text may be two numbers: a plus in the middle, or more before a slash than codes of a country and a town.
fn is_two(text: &str) -> bool {
    let plus = text.trim_start_matches(['(', ' ']).rfind('+');
    let longest = if plus.is_some() { 9 } else { 6 };
    let by_slash = text.split_once('/').is_some_and(|(first, second)| {
        digits(first).len() > longest
            || second.trim_start().starts_with(['0', '('])
            || second.contains('/')
    });
    by_slash || plus.is_some_and(|at| at > 0)
}

/// A number with its country's code, as it is written and without a `(0)`: which of them is dialled. The zero is part of
/// the number in Italy, San Marino and the Vatican.
fn from_abroad<'a>(number: &'a str, bare: &'a str) -> Option<&'a str> {
    if ["39", "378", "379"].iter().any(|c| number.starts_with(c)) {
        return Some(number);
    }
    let drops_zero = |[_, code, prefix]: &[&str; 3]| {
        let inside = bare.strip_prefix(code)?;
        (*prefix == "0").then(|| inside.starts_with('0'))
    };
    match TABLE.iter().find_map(drops_zero) {
        Some(has_zero) => (!has_zero).then_some(bare),
        None => (number == bare).then_some(number),
    }
}

/// A number as it is dialled inside its country, without what it begins with only there.
fn inside<'a>(number: &'a str, code: &str, prefix: &str) -> Option<&'a str> {
    let rest = number.strip_prefix(prefix).filter(|_| !prefix.is_empty());
    match (code, number.len(), rest) {
        // Their towns have codes that begin like the prefix, so that only the length tells.
        ("7", 10, _) | ("375", 9, _) => Some(number),
        ("7" | "375", 11, rest) => rest,
        ("7" | "375", ..) => None,
        ("1", ..) => Some(rest.unwrap_or(number)).filter(|n| n.len() == 10),
        (_, _, Some(rest)) => Some(rest).filter(|n| n.len() >= 5 && !n.starts_with('0')),
        // The country's code without a plus, or a number inside a town.
        (..) if number.starts_with(code) || (!prefix.is_empty() && number.len() < 8) => None,
        (..) => Some(number).filter(|n| n.len() >= 5),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn phone_numbers_become_international() {
        for (text, country, stored) in [
            ("+49 (0)30 123-456", None, "+4930123456"),
            ("0049 30 123456", None, "+4930123456"),
            ("030 / 123 456", Some("DE"), "+4930123456"),
            ("(415) 555-0123 ext. 7", Some("US"), "+14155550123"),
            ("1-415-555-0123", Some("US"), "+14155550123"),
            ("011 44 20 7946 0018", Some("US"), "+442079460018"),
            ("06 30 123 4567", Some("HU"), "+36301234567"),
            ("06 1234 5678", Some("IT"), "+390612345678"),
            ("tel:+33 1 23 45 67 89", Some("US"), "+33123456789"),
            ("030 123456", None, "030 123456"),
            ("call Bob", Some("DE"), "call Bob"),
            ("112", Some("DE"), "112"),
            ("0123", Some("XX"), "0123"),
            ("30 123456", Some("DE"), "+4930123456"),
            ("812 123-45-67", Some("RU"), "+78121234567"),
            ("8 (812) 123-45-67", Some("RU"), "+78121234567"),
            ("8 727 123 45 67", Some("KZ"), "+77271234567"),
            ("8 017 123-45-67", Some("BY"), "+375171234567"),
            ("+39 (0)6 1234 5678", None, "+390612345678"),
            ("0039 (0)6 1234 5678", None, "+390612345678"),
            ("(0)6 1234 5678", Some("IT"), "+390612345678"),
            ("+378 (0)549 888 888", None, "+3780549888888"),
            ("(0)30 123456", Some("DE"), "+4930123456"),
            ("+49 33701/12345", None, "+493370112345"),
            ("415-555-0123 x7", Some("US"), "+14155550123"),
            ("415-555-0123 #12", Some("US"), "+14155550123"),
        ] {
            assert_eq!(phone(text, country), stored, "{text}");
        }
        for (text, country) in [
            ("4.93012E+11", Some("DE")),
            ("030 123456 evenings", Some("DE")),
            ("030 123456 x", Some("DE")),
            ("49 30 123456", Some("DE")),
            ("7 812 123-45-67", Some("RU")),
            ("123-45-67", Some("RU")),
            ("555-0123", Some("US")),
            ("123456", Some("DE")),
            ("030 1234 / 030 5678", Some("DE")),
            ("030 1234 / 5678", Some("DE")),
            ("+49 30 1234 / +49 30 5678", None),
            ("030 123 +49 30", Some("DE")),
            ("+44 (020) 7946 0018", None),
            ("+34 (0)91 123 45 67", None),
        ] {
            assert_eq!(phone(text, country), text, "it is unclear");
        }
        assert!(is_phone_country("DE") && !is_phone_country("DE 49") && !is_phone_country(""));
        assert!(phone_countries().count() > 100);
    }

    #[test]
    fn names_are_not_shouted() {
        for (text, stored) in [
            ("  ANN-MARIE   O'HARA ", "Ann-Marie O'Hara"),
            ("Ann \u{200b} \u{feff}Bell", "Ann Bell"),
            ("\u{feff}", ""),
            ("ÉLODIE", "Élodie"),
            ("JJ", "JJ"),
            ("van der Berg", "van der Berg"),
            ("McCoy", "McCoy"),
            ("bell", "bell"),
        ] {
            assert_eq!(name(text), stored);
        }
    }

    #[test]
    fn addresses_of_the_web_have_one_form() {
        for text in [
            "de.linkedin.com/in/Ann-B?x=1",
            "https://www.linkedin.com/in/ann-b/",
        ] {
            assert_eq!(linkedin(text), "https://www.linkedin.com/in/ann-b");
        }
        assert_eq!(linkedin(" ann "), "ann");
        for text in ["m.facebook.com/Ann.B/", "https://fb.com/Ann.B?ref=1"] {
            assert_eq!(facebook(text), "https://www.facebook.com/Ann.B");
        }
        assert_eq!(
            facebook("https://facebook.com/profile.php?x=1&id=7"),
            "https://www.facebook.com/profile.php?id=7"
        );
        assert_eq!(facebook("notfacebook.com/ann"), "notfacebook.com/ann");
        for text in [
            "https://www.Acme.test/about",
            "acme.test",
            "ACME.test:443",
            "info@acme.test",
        ] {
            assert_eq!(domain(text), "acme.test", "{text}");
        }
        assert_eq!(domain("Acme Inc"), "Acme Inc");
    }

    proptest! {
        /// What is stored is what a second import of it would store.
        #[test]
        fn once_is_enough(text in "\\PC{0,24}", number in "[+0-9() x-]{0,18}") {
            let text = text.trim();
            for form in [name, linkedin, facebook, domain] {
                let once = form(text);
                prop_assert_eq!(form(&once), once.clone());
            }
            for country in [None, Some("DE"), Some("US"), Some("IT")] {
                let once = phone(&number, country);
                prop_assert_eq!(phone(&once, country), once.clone());
            }
        }
    }
}
