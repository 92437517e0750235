//! What HTML says, as plain text. One pass without recursion: whatever the HTML is, it takes time by its length, and the text
//! is never longer than it by more than its last line break.

/// Elements whose inside nobody reads.
const UNREAD: [&str; 3] = ["script", "style", "title"];

/// Elements with a blank line around them.
const APART: [&str; 11] = [
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "blockquote",
    "ul",
    "ol",
    "pre",
];

/// Elements that begin a line, and end it.
const LINES: [&str; 14] = [
    "br", "div", "tr", "li", "table", "section", "article", "header", "footer", "hr", "dt", "dd",
    "address", "center",
];

/// Characters that are written by name.
const NAMED: [(&str, &str); 36] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("shy", ""),
    ("zwnj", ""),
    ("copy", "©"),
    ("reg", "®"),
    ("trade", "™"),
    ("hellip", "…"),
    ("mdash", "—"),
    ("ndash", "–"),
    ("lsquo", "‘"),
    ("rsquo", "’"),
    ("ldquo", "“"),
    ("rdquo", "”"),
    ("laquo", "«"),
    ("raquo", "»"),
    ("bull", "•"),
    ("middot", "·"),
    ("euro", "€"),
    ("pound", "£"),
    ("auml", "ä"),
    ("ouml", "ö"),
    ("uuml", "ü"),
    ("Auml", "Ä"),
    ("Ouml", "Ö"),
    ("Uuml", "Ü"),
    ("szlig", "ß"),
    ("eacute", "é"),
    ("egrave", "è"),
    ("agrave", "à"),
    ("ccedil", "ç"),
    ("times", "×"),
];

/// What HTML says, as plain text: for those who read no HTML, and for filters that mistrust mails without it. Blocks are
/// lines, and the address of a link stands behind it.
pub fn plain(html: &str) -> String {
    let mut out = Out::default();
    let mut rest = html;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '<' => markup(rest, &mut out),
            '&' => entity(rest, &mut out),
            c => {
                out.character(c);
                &rest[c.len_utf8()..]
            }
        };
    }
    out.text.push('\n');
    out.text
}

/// The text so far, and what comes before its next character.
#[derive(Default)]
struct Out {
    text: String,
    breaks: usize,
    space: bool,
    bullet: bool,
    /// The address of the link that is open, and where its text begins.
    link: Option<(String, usize)>,
}

impl Out {
    fn character(&mut self, c: char) {
        if c.is_whitespace() {
            self.space = true;
        } else if !c.is_control() {
            self.begin();
            self.text.push(c);
        }
    }

    /// Writes what was put off until something comes.
    fn begin(&mut self) {
        if !self.text.is_empty() {
            match (self.breaks, self.space) {
                (0, true) => self.text.push(' '),
                (breaks, _) => self.text.extend(std::iter::repeat_n('\n', breaks)),
            }
        }
        if self.bullet {
            self.text.push_str("- ");
        }
        (self.breaks, self.space, self.bullet) = (0, false, false);
    }

    fn tag(&mut self, tag: &str) {
        let (closes, tag) = match tag.strip_prefix('/') {
            Some(tag) => (true, tag),
            None => (false, tag),
        };
        let end = tag.find(|c: char| !c.is_ascii_alphanumeric());
        let (name, attributes) = tag.split_at(end.unwrap_or(tag.len()));
        let is = |names: &[&str]| names.iter().any(|n| name.eq_ignore_ascii_case(n));
        match () {
            () if is(&["a"]) => {
                self.leave_link();
                if !closes {
                    let begins = |address: String| (address, self.text.len());
                    self.link = href(attributes).map(begins);
                }
            }
            () if is(&["br"]) => self.breaks = (self.breaks + 1).min(2),
            () if is(&["td", "th"]) => self.space = true,
            () if is(&APART) => self.breaks = 2,
            () if is(&LINES) => {
                self.breaks = self.breaks.max(1);
                self.bullet |= !closes && is(&["li"]);
            }
            () => {}
        }
    }

    /// Writes the address of a link behind its text, if that is not the address itself.
    fn leave_link(&mut self) {
        let Some((address, from)) = self.link.take() else {
            return;
        };
        let said = self.text.get(from..).unwrap_or_default().trim();
        if said == address {
            return;
        }
        self.space = true;
        self.begin();
        self.text.push('(');
        self.text.push_str(&address);
        self.text.push(')');
    }
}

/// Reads a tag, a comment or what nobody reads, and returns what comes after it. What never ends swallows the rest, as in
/// browsers.
fn markup<'a>(source: &'a str, out: &mut Out) -> &'a str {
    if source.starts_with("<!--") {
        return source.get(2..).and_then(|s| after(s, "-->")).unwrap_or("");
    }
    let inner = &source[1..];
    if !inner.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
        out.character('<');
        return inner;
    }
    let Some(end) = tag_end(inner) else {
        return "";
    };
    let (tag, rest) = (&inner[..end], &inner[end + 1..]);
    let unread = |name: &&&str| {
        let head = tag.get(..name.len());
        let ends = tag
            .as_bytes()
            .get(name.len())
            .is_none_or(|b| !b.is_ascii_alphanumeric());
        ends && head.is_some_and(|head| head.eq_ignore_ascii_case(name))
    };
    if let Some(name) = UNREAD.iter().find(unread) {
        return beyond(rest, name);
    }
    out.tag(tag);
    rest
}

fn after<'a>(source: &'a str, mark: &str) -> Option<&'a str> {
    source.split_once(mark).map(|(_, rest)| rest)
}

/// Where a tag ends; quotes may hold anything.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// What comes after the closing tag of an element whose inside is no markup.
fn beyond<'a>(mut rest: &'a str, name: &str) -> &'a str {
    while let Some(inner) = after(rest, "</") {
        rest = inner;
        if inner
            .get(..name.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(name))
        {
            return after(inner, ">").unwrap_or("");
        }
    }
    ""
}

/// The address that a link leads to; none where it leads nowhere else.
fn href(mut attributes: &str) -> Option<String> {
    loop {
        attributes = attributes.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        let end = attributes.find(|c: char| c.is_whitespace() || c == '=' || c == '/');
        let (name, rest) = attributes.split_at(end.unwrap_or(attributes.len()));
        let rest = rest.trim_start();
        let (value, rest) = match rest.strip_prefix('=') {
            Some(rest) => value(rest.trim_start()),
            None => ("", rest),
        };
        if name.eq_ignore_ascii_case("href") {
            return address(value);
        }
        if rest.is_empty() {
            return None;
        }
        attributes = rest;
    }
}

/// The value of an attribute, and what comes after it.
fn value(rest: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(inner) = rest.strip_prefix(quote) {
            return inner.split_once(quote).unwrap_or((inner, ""));
        }
    }
    rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()))
}

fn address(value: &str) -> Option<String> {
    let mut out = Out::default();
    let mut rest = value.trim();
    while let Some(c) = rest.chars().next() {
        rest = match c {
            '&' => entity(rest, &mut out),
            c => {
                out.character(c);
                &rest[c.len_utf8()..]
            }
        };
    }
    let scheme = |scheme: &&str| {
        let head = out.text.get(..scheme.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(scheme))
    };
    let leads = ["https://", "http://", "mailto:"].iter().any(scheme);
    leads.then_some(out.text)
}

/// Reads `&name;` or `&#number;` and returns what comes after it; anything else is an `&`.
fn entity<'a>(source: &'a str, out: &mut Out) -> &'a str {
    let inner = &source[1..];
    let end = inner.bytes().take(10).position(|b| b == b';');
    let Some((name, rest)) = end.map(|end| (&inner[..end], &inner[end + 1..])) else {
        out.character('&');
        return inner;
    };
    let number = match (name.strip_prefix("#x"), name.strip_prefix('#')) {
        (Some(digits), _) => u32::from_str_radix(digits, 16).ok(),
        (None, Some(digits)) => digits.parse().ok(),
        (None, None) => None,
    };
    let named = NAMED.iter().find(|(n, _)| *n == name);
    match (number.and_then(char::from_u32), named) {
        (Some(c), _) => out.character(c),
        (None, Some((_, text))) => text.chars().for_each(|c| out.character(c)),
        (None, None) => {
            out.character('&');
            return inner;
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_reads_as_the_page_does() {
        for (html, text) in [
            ("<p>One</p>\n<p>Two<br>three</p>", "One\n\nTwo\nthree\n"),
            (
                "a <b>b</b>\n  c&nbsp;&#8364;&#x20ac; &amp;c; &nope; 1 < 2",
                "a b c €€ &c; &nope; 1 < 2\n",
            ),
            ("<ul><li>x<li>y</ul>z", "- x\n- y\n\nz\n"),
            (
                "<a title='a>b' HREF=\"https://x.test/?a=1&amp;b=2\">Go</a>.",
                "Go (https://x.test/?a=1&b=2).\n",
            ),
            (
                "<a href=https://x.test>https://x.test</a> <a href='#top'>up</a>",
                "https://x.test up\n",
            ),
            (
                "<STYLE>p{}</Style >a<!-- <p> -->b<script>if (a</b) </script>c<!-->d",
                "abcd\n",
            ),
            (
                "<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>",
                "1 2\n3\n",
            ),
            ("a<p", "a\n"),
            ("a<script>b", "a\n"),
            ("", "\n"),
        ] {
            assert_eq!(plain(html), text, "{html}");
        }
    }

    #[test]
    fn hostile_html_takes_time_by_its_length_and_no_stack() {
        for part in [
            "<a>",
            "<a href=https://x>",
            "<a",
            "<",
            "</",
            "&",
            "&#",
            "<!--",
            "<!",
            "<p>",
            "<li>",
            "<script>",
            "<style></",
            "<a href='",
            "</a>",
            "<a / / / ",
            "<a b=\"\" ",
            "<div><a href=http://a>x",
            "a ",
        ] {
            let html = part.repeat(256 * 1024 / part.len());
            let begun = std::time::Instant::now();
            let text = plain(&html);
            assert!(text.len() <= html.len() + 1, "{part}");
            assert!(
                begun.elapsed().as_secs() < 5,
                "{part}: {:?}",
                begun.elapsed()
            );
        }
    }

    proptest! {
        #[test]
        fn any_html_gives_no_longer_text(html in "[<>/&;#apbrliх \"='é\n!-]{0,80}") {
            prop_assert!(plain(&html).len() <= html.len() + 1);
        }

        #[test]
        fn any_tags_give_no_longer_text(parts in prop::collection::vec(prop_oneof![
            Just("<p>"), Just("</p>"), Just("<a href="), Just("<a href='http://x'>"), Just("</a>"), Just("<!--"), Just("-->"),
            Just("<script>"), Just("<br/>"), Just("<li>"), Just("&amp;"), Just("&#"), Just("&#x1F;"), Just("ä"), Just("text"),
            Just("<style"), Just("</"), Just("<td>"), Just("<a href=http://>")], 0..60)) {
            let html = parts.concat();
            prop_assert!(plain(&html).len() <= html.len() + 1);
        }
    }
}
