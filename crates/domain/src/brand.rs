//! How a sub-account looks to its people, and how its mails are signed.

use serde::{Deserialize, Serialize};

use crate::colour::Colour;

/// The brand of a sub-account. Everything is optional: what is absent is ours, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brand {
    /// What the pages are called, instead of the sub-account's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Buttons, bars and links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accent: Option<Colour>,
    /// The ground of the navigation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rail: Option<Colour>,
    /// The name in `From` of profiles that give none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_name: Option<String>,
    /// `Reply-To` of every mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The sender's postal address, which many laws want under every commercial mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_address: Option<String>,
}

/// Grounds of our own pages, light and dark (`--paper` in app.css).
const PAPER: [Colour; 2] = [Colour::new(0xf3, 0xf5, 0xf4), Colour::new(0x10, 0x17, 0x1b)];
/// The darkest and the lightest ground that the navigation's texts are drawn on.
const RAIL: Colour = Colour::new(0x22, 0x32, 0x3b);

impl Brand {
    /// The stylesheet that lays the brand's colours over ours; empty without any. Whatever colours are chosen, texts
    /// keep a contrast of 4.5 and bars one of 3 (WCAG 2.2, 1.4.3 and 1.4.11).
    pub fn css(&self) -> String {
        let mut css = String::new();
        for (paper, dark) in PAPER.into_iter().zip([false, true]) {
            let mut rules = String::new();
            if let Some(accent) = self.accent {
                rules += &accent_rules(accent, paper);
            }
            if let Some(rail) = self.rail {
                let ink = rail.ink();
                rules += &format!(
                    "--slate:{rail};--slate-up:{};--slate-ink:{ink};--slate-soft:{};",
                    rail.mix(ink, 0.1),
                    ink.mix(rail, 0.25).readable_on(rail, 4.5)
                );
            }
            match dark {
                _ if rules.is_empty() => {}
                false => css += &format!(":root{{{rules}}}\n"),
                true => {
                    css += &format!("@media (prefers-color-scheme: dark){{:root{{{rules}}}}}\n")
                }
            }
        }
        if self.accent.is_some() || self.rail.is_some() {
            let rail = self.rail.unwrap_or(RAIL);
            let bar = self.accent.unwrap_or(rail.ink()).readable_on(rail, 3.0);
            css += &format!(".rail,.front-brand{{--gold-bar:{bar};--focus:{bar}}}\n");
        }
        css
    }
}

fn accent_rules(accent: Colour, paper: Colour) -> String {
    let deep = accent.readable_on(paper, 4.5);
    format!(
        "--gold:{accent};--on-gold:{};--gold-bar:{};--gold-deep:{deep};--focus:{deep};--gold-wash:{};--gold-line:{};",
        accent.ink(),
        accent.readable_on(paper, 3.0),
        paper.mix(accent, 0.1),
        paper.mix(accent, 0.45),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brand_without_colours_changes_nothing() {
        assert_eq!(Brand::default().css(), "");
    }

    #[test]
    fn colours_go_into_the_stylesheet_and_nothing_else_does() {
        let brand = Brand {
            name: Some("}</style>".into()),
            accent: Some(Colour::new(0x2d, 0x6a, 0x4f)),
            rail: Some(Colour::new(0xff, 0xff, 0xff)),
            ..Brand::default()
        };
        let css = brand.css();
        assert!(
            css.contains("--gold:#2d6a4f") && css.contains("--on-gold:#ffffff"),
            "{css}"
        );
        assert!(
            css.contains("--slate:#ffffff") && css.contains("--slate-ink:#000000"),
            "{css}"
        );
        assert!(
            css.contains("prefers-color-scheme: dark") && !css.contains("style"),
            "{css}"
        );
        assert!(
            css.contains(".rail,.front-brand{--gold-bar:#2d6a4f"),
            "{css}"
        );
    }

    #[test]
    fn a_brand_is_kept_as_it_was_written() {
        let json = r##"{"name":"Acme","accent":"#2d6a4f"}"##;
        let brand: Brand = serde_json::from_str(json).expect("a brand");
        assert_eq!(serde_json::to_string(&brand).expect("JSON"), json);
        assert!(serde_json::from_str::<Brand>(r#"{"accent":"red"}"#).is_err());
    }
}
