//! MJML as HTML. What it takes to make it is bounded before anything is parsed: what parses and renders it takes stack by how
//! deep it nests, and writes what `mj-attributes` says once more for each element.

use domain::template::TEMPLATE_MAX;
use mrml::prelude::render::RenderOptions;

/// The deepest that elements nest.
const DEPTH_MAX: usize = 50;
/// The most elements.
const ELEMENTS_MAX: usize = 2_000;
/// The most pictures of carousels: each has a style for each other one.
const PICTURES_MAX: usize = 30;
/// The most that `mj-attributes` may come to, for all elements together, in bytes.
const ATTRIBUTES_MAX: usize = 8 * 1024 * 1024;

/// Elements of HTML that hold nothing.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];

/// MJML as HTML. Nothing is loaded from elsewhere.
///
/// # Errors
/// Why it cannot be made, for people.
pub fn html_of(mjml: &str) -> Result<String, String> {
    if mjml.len() > TEMPLATE_MAX {
        return Err(format!("must have at most {TEMPLATE_MAX} bytes"));
    }
    check(mjml)?;
    let parsed = mrml::parse(mjml).map_err(|e| format!("is no MJML: {e}"))?;
    let html = parsed.element.render(&RenderOptions::default());
    let html = html.map_err(|e| format!("cannot be made into HTML: {e}"))?;
    match html.len() > TEMPLATE_MAX {
        true => Err(format!(
            "would be HTML of {} bytes; at most {TEMPLATE_MAX} are taken",
            html.len()
        )),
        false => Ok(html),
    }
}

/// Counts what an MJML text has, by its signs alone.
fn check(mjml: &str) -> Result<(), String> {
    if mjml.contains("<![CDATA[") {
        return Err("must be without CDATA".to_owned());
    }
    let (mut depth, mut elements, mut rest) = (0usize, 0, mjml);
    while let Some((_, inner)) = rest.split_once('<') {
        if let Some(comment) = inner.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, rest)| rest);
            continue;
        }
        let end = end_of_tag(inner);
        let (tag, next) = inner.split_at(end);
        rest = next;
        if tag.starts_with('/') {
            depth = depth.saturating_sub(1);
        } else if !tag.starts_with(['!', '?']) {
            elements += 1;
            depth += usize::from(!tag.ends_with('/') && !is_void(tag));
        }
        if depth > DEPTH_MAX {
            return Err(format!("must nest at most {DEPTH_MAX} deep"));
        }
    }
    if elements > ELEMENTS_MAX {
        return Err(format!("must have at most {ELEMENTS_MAX} elements"));
    }
    if mjml.matches("<mj-carousel-image").count() > PICTURES_MAX {
        return Err(format!(
            "must have at most {PICTURES_MAX} pictures in carousels"
        ));
    }
    match attributes(mjml) * elements > ATTRIBUTES_MAX {
        true => Err("has too much in mj-attributes for so many elements".to_owned()),
        false => Ok(()),
    }
}

/// Whether an element holds nothing, and is left open.
fn is_void(tag: &str) -> bool {
    let name = tag.split(|c: char| c.is_whitespace() || c == '/').next();
    name.is_some_and(|name| VOID.contains(&name))
}

/// Where a tag ends; quotes may hold anything.
fn end_of_tag(tag: &str) -> usize {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    tag.len()
}

/// How long what `mj-attributes` says is at most.
fn attributes(mjml: &str) -> usize {
    let from = mjml.find("<mj-attributes").unwrap_or(mjml.len());
    let to = mjml.rfind("</mj-attributes").unwrap_or(mjml.len());
    to.saturating_sub(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(head: &str, body: &str) -> String {
        format!(
            "<mjml><mj-head>{head}</mj-head><mj-body><mj-section><mj-column>{body}</mj-column></mj-section></mj-body></mjml>"
        )
    }

    #[test]
    fn what_would_take_too_much_is_refused_before_it_is_parsed() {
        let attributes = format!(
            "<mj-attributes><mj-text color=\"{}\" /></mj-attributes>",
            "x".repeat(100_000)
        );
        for (mjml, why) in [
            (
                mail("", &format!("<mj-text>{}</mj-text>", "<b>".repeat(60_000))),
                "deep",
            ),
            (mail("", &"<mj-text />".repeat(10_000)), "elements"),
            (
                mail(&attributes, &"<mj-text />".repeat(1_000)),
                "mj-attributes",
            ),
            (
                mail(
                    "",
                    &format!(
                        "<mj-carousel>{}</mj-carousel>",
                        "<mj-carousel-image />".repeat(500)
                    ),
                ),
                "pictures",
            ),
            (mail("", &"<![CDATA[</b>]]><b>".repeat(1_000)), "CDATA"),
            (mail("", &"<!-- </b> --><b>".repeat(1_000)), "deep"),
            (mail("", &"<b a=\"/\">".repeat(1_000)), "deep"),
        ] {
            let said = html_of(&mjml).expect_err(why);
            assert!(said.contains(why), "{said}");
        }
        let fine = mail(
            "<mj-attributes><mj-text color=\"#333333\" /></mj-attributes>",
            &"<mj-text>a<br>b <img src='x'> {{ first_name }}</mj-text>".repeat(40),
        );
        assert!(html_of(&fine).expect("HTML").contains("first_name"));
    }
}
