//! The words that leads are found by: letters without case and accents, so that `zoe muller` finds `Zoë Müller`.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::lead::{Field, Fields};

/// The longest word, in characters; longer ones are cut.
pub const WORD_MAX: usize = 64;
/// Bytes of different words that a lead is found by; what comes after them is not.
const DOCUMENT_MAX: usize = 256 * 1024;
/// The most words of a search; the others do not count.
pub const QUERY_MAX: usize = 12;

/// Stands behind every name, for leads that have none.
const NAMELESS: &str = "\u{10fffd}";

/// A text in small letters without accents.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    if text.is_ascii() {
        folded.push_str(text);
        folded.make_ascii_lowercase();
        return folded;
    }
    let letters = text.nfkd().filter(|c| !is_combining_mark(*c));
    for c in letters.flat_map(char::to_lowercase) {
        match c {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'ħ' => folded.push('h'),
            'ı' => folded.push('i'),
            c if is_combining_mark(c) => {}
            c => folded.push(c),
        }
    }
    folded
}

/// The words of a text, folded.
pub fn words(text: &str) -> Vec<String> {
    let folded = fold(text);
    let words = folded.split(|c: char| !c.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words
        .map(|word| word.chars().take(WORD_MAX).collect())
        .collect()
}

/// The words that a search asks for: a lead fits when each begins one of its words.
pub fn query(text: &str) -> Vec<String> {
    let mut words = words(text);
    words.truncate(QUERY_MAX);
    words
}

/// All words that a lead is found by, each once: those of its fields and of some more texts.
pub fn document<'a>(fields: &'a Fields, more: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let (mut found, mut bytes) = (BTreeSet::new(), 0);
    let built_in = fields.built_in.iter().flatten();
    let texts = built_in.chain(fields.data.values()).map(String::as_str);
    for word in texts.chain(more).flat_map(words) {
        bytes += word.len();
        if bytes > DOCUMENT_MAX {
            break;
        }
        if !found.insert(word) {
            bytes = bytes.saturating_sub(1);
        }
    }
    found
}

/// Whether every word of a search begins one of a document's.
pub fn fits(document: &BTreeSet<String>, query: &[String]) -> bool {
    query.iter().all(|begin| {
        let next = document.range(begin.clone()..).next();
        next.is_some_and(|word| word.starts_with(begin.as_str()))
    })
}

/// What leads are sorted by: the name (family name first) and the address, folded; at the end of the list without.
pub fn order(fields: &Fields) -> (String, String) {
    let text = |field| fields.get(field).unwrap_or_default();
    let name = words(&format!(
        "{} {}",
        text(Field::LastName),
        text(Field::FirstName)
    ));
    let key = |text: String| match text.is_empty() {
        true => NAMELESS.to_owned(),
        false => text.chars().take(WORD_MAX).collect(),
    };
    (key(name.join(" ")), key(fold(text(Field::Email))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lead(first: &str, last: &str, plan: &str) -> Fields {
        let mut fields = Fields::default();
        fields.set(Field::FirstName, first);
        fields.set(Field::LastName, last);
        fields.data.insert("plan".into(), plan.into());
        fields
    }

    #[test]
    fn accents_case_and_order_do_not_matter() {
        let document = document(
            &lead("Zoë", "Müller-Østergård", "Straße 5"),
            ["met in Łódź"].into_iter(),
        );
        for found in [
            "zoe",
            "MULLER zo",
            "ostergard",
            "strasse",
            "łod",
            "lodz MET",
            "5",
            "",
        ] {
            assert!(fits(&document, &query(found)), "{found}");
        }
        for missed in ["zoes", "uller", "zoe 6"] {
            assert!(!fits(&document, &query(missed)), "{missed}");
        }
    }

    #[test]
    fn names_are_sorted_without_accents_and_those_without_come_last() {
        let key = |first: &str, last: &str| order(&lead(first, last, "")).0;
        assert_eq!(key("Åsa", "Östlund"), "ostlund asa");
        assert!(key("Zoe", "Ostlund") > key("Åsa", "Östlund"));
        assert!(order(&Fields::default()).0 > key("Ωμέγα", "Яков"));
    }

    proptest! {
        #[test]
        fn words_are_words_of_words(text in "\\PC{0,40}") {
            for word in words(&text) {
                prop_assert!(word.chars().all(char::is_alphanumeric));
                prop_assert_eq!(words(&word), vec![word]);
            }
        }

        #[test]
        fn a_lead_is_found_by_the_beginning_of_each_word(text in "\\PC{0,40}", length in 1usize..9) {
            let document = document(&lead(&text, "", ""), std::iter::empty());
            let beginnings: Vec<String> = words(&text).iter().map(|w| w.chars().take(length).collect()).collect();
            prop_assert!(fits(&document, &beginnings));
        }
    }
}
