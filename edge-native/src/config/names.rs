//! The names that Spin's manifest allows.

/// True for words of letters and digits that begin with a letter, joined by `separator`:
/// `slot001` is one, `slot-001` is not, as `001` does not begin with a letter.
fn words(name: &str, separator: char) -> bool {
    name.split(separator).all(|word| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric())
            && (word.chars().all(|c| !c.is_ascii_uppercase())
                || word.chars().all(|c| !c.is_ascii_lowercase()))
    })
}

/// A component's name: kebab-case.
pub fn is_component(name: &str) -> bool {
    words(name, '-')
}

/// A variable's name: snake_case in lower-case letters.
pub fn is_variable(name: &str) -> bool {
    words(name, '_') && !name.chars().any(|c| c.is_ascii_uppercase())
}

/// A label of a database or a key-value store: kebab- or snake-case.
pub fn is_label(name: &str) -> bool {
    words(name, '-') || words(name, '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_words_that_begin_with_a_letter() {
        for good in ["master", "slot001", "my-db", "my_db", "a"] {
            assert!(is_label(good), "{good}");
        }
        for bad in [
            "", "slot-001", "1a", "a_b-c", "-a", "a-", "../x", "a b", "é",
        ] {
            assert!(!is_label(bad), "{bad}");
        }
    }

    #[test]
    fn variables_are_lower_snake_case() {
        assert!(is_variable("node_secret"));
        assert!(!is_variable("node-secret"));
        assert!(!is_variable("Node"));
    }

    #[test]
    fn components_are_kebab_case() {
        assert!(is_component("rule-engine"));
        assert!(!is_component("rule_engine"));
    }
}
