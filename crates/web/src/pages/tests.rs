//! What holds for every page.

use crate::{pages, totp};

#[path = "../../examples/preview/sample.rs"]
mod sample;

const HOSTILE: &str = "<script>alert('x')</script><img src=x onerror=\"y\">";

/// The opening tags named `name`, each from `<` to `>`.
fn tags<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let opening = format!("<{name}");
    html.match_indices(&opening)
        .map(|(at, _)| &html[at..])
        .filter(|tag| tag[opening.len()..].starts_with([' ', '>', '\n']))
        .map(|tag| &tag[..tag.find('>').expect("a tag ends") + 1])
        .collect()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let from = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    Some(&tag[from..from + tag[from..].find('"')?])
}

#[test]
fn every_page_has_a_language_a_title_and_one_heading() {
    for (name, html) in sample::all("Ana Ruiz") {
        assert!(
            html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"),
            "{name}"
        );
        let title = html
            .split("<title>")
            .nth(1)
            .and_then(|t| t.split("</title>").next());
        assert!(
            title.is_some_and(|t| t.trim().len() > 3),
            "{name}: {title:?}"
        );
        assert_eq!(tags(&html, "h1").len(), 1, "{name}");
        assert_eq!(tags(&html, "main").len(), 1, "{name}");
    }
}

#[test]
fn every_input_has_a_label_and_every_reference_a_target() {
    for (name, html) in sample::all("Ana Ruiz") {
        let mut ids: Vec<_> = html
            .match_indices(" id=\"")
            .map(|(at, _)| &html[at..])
            .collect();
        ids.iter_mut()
            .for_each(|id| *id = id[5..].split('"').next().unwrap_or_default());
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{name}: an id is used twice");

        for kind in ["input", "select", "textarea"] {
            for tag in tags(&html, kind) {
                if attribute(tag, "type") == Some("hidden") {
                    continue;
                }
                let id = attribute(tag, "id").unwrap_or_default();
                assert!(
                    html.contains(&format!("<label for=\"{id}\"")),
                    "{name}: {tag}"
                );
            }
        }
        for reference in [
            "aria-describedby",
            "aria-labelledby",
            "for",
            "list",
            "popovertarget",
        ] {
            for (at, _) in html.match_indices(&format!(" {reference}=\"")) {
                let value = attribute(&html[at..], reference).unwrap_or_default();
                for id in value.split(' ') {
                    assert!(ids.contains(&id), "{name}: {reference}={id}");
                }
            }
        }
    }
}

#[test]
fn data_never_becomes_markup() {
    let mut seen = 0;
    for (name, html) in sample::all(HOSTILE) {
        assert!(
            !html.contains("<script>alert") && !html.contains("<img src=x"),
            "{name}"
        );
        seen += usize::from(html.contains("&#60;script&#62;") || html.contains("&lt;script&gt;"));
    }
    assert!(seen >= 6, "the hostile name shows on {seen} pages only");
}

#[test]
fn no_page_needs_an_inline_script_style_or_handler() {
    for (name, html) in sample::all("Ana Ruiz") {
        for script in tags(&html, "script") {
            assert!(attribute(script, "src").is_some(), "{name}: {script}");
        }
        assert!(tags(&html, "style").is_empty(), "{name}");
        for forbidden in [
            " style=\"",
            " onclick=",
            " onsubmit=",
            " onchange=",
            "javascript:",
        ] {
            assert!(!html.contains(forbidden), "{name}: {forbidden}");
        }
    }
}

#[test]
fn every_static_file_that_a_page_names_is_embedded() {
    for (name, html) in sample::all("Ana Ruiz") {
        for (at, _) in html.match_indices("/static/") {
            let file = html[at + 8..].split(['"', '?']).next().unwrap_or_default();
            assert!(pages::assets::find(file).is_some(), "{name}: {file}");
        }
    }
}

#[test]
fn links_of_a_sub_account_stay_under_its_base() {
    for (name, html) in sample::all("Ana Ruiz") {
        if !html.contains("<p class=\"tenant\">") {
            continue;
        }
        for name_of in ["href", "action", "hx-get"] {
            for (at, _) in html.match_indices(&format!(" {name_of}=\"/")) {
                let path = attribute(&html[at..], name_of).unwrap_or_default();
                assert!(
                    path.starts_with("/s/harbour/") || path == "/subaccounts",
                    "{name}: {path}"
                );
            }
        }
    }
}

#[test]
fn a_password_is_never_written_back() {
    for (name, html) in sample::all("Ana Ruiz") {
        for input in tags(&html, "input") {
            if attribute(input, "type") == Some("password") {
                assert!(attribute(input, "value").is_none(), "{name}: {input}");
            }
        }
    }
}

#[test]
fn the_page_of_a_recipient_carries_no_brand_of_ours() {
    for (name, html) in sample::all("Ana Ruiz") {
        if name.starts_with("unsubscribe") || name.ends_with("neutral") {
            let text = &html;
            assert!(
                !text.contains("Sluice") && !text.contains("sluice"),
                "{name}"
            );
        }
    }
}

#[test]
fn a_live_import_asks_again_and_a_finished_one_does_not() {
    assert!(sample::fragment().contains("hx-trigger=\"every 1s\""));
    for (name, html) in sample::all("Ana Ruiz") {
        if name.starts_with("import-") {
            assert_eq!(html.contains("hx-trigger"), name == "import-live", "{name}");
        }
    }
}
