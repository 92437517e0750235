//! Spintax: `{Hi|Hello|Good day}` says one of its choices. Groups nest. Which choice it is follows from a seed, so that the
//! same mail is written the same way every time.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// The deepest that groups nest.
pub const DEPTH_MAX: usize = 20;

/// A template in pieces: what is never touched, and groups of choices.
enum Piece<'a> {
    Text(&'a str),
    Group(Vec<Vec<Piece<'a>>>),
}

/// Chooses in all groups of a template. What is in braces without a `|` of its own, like a rule of a stylesheet, stays as
/// it is, and so does all that the template language owns: `{{ … }}`, `{% … %}`, `{# … #}`.
pub fn spin(source: &str, seed: u64) -> Cow<'_, str> {
    if !source.contains('|') || !source.contains('{') {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(source.len());
    let mut chosen = 0;
    write(&pieces(source), &mut out, seed, &mut chosen);
    Cow::Owned(out)
}

/// Every choice of every group, outer ones before those inside them: each is to be a template by itself.
pub fn choices(source: &str) -> Vec<String> {
    let mut all = Vec::new();
    collect(&pieces(source), &mut all);
    all
}

/// The source with all choices one after the other: it has every variable that any choice has.
pub fn flat(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    flatten(&pieces(source), &mut out);
    out
}

fn write(pieces: &[Piece<'_>], out: &mut String, seed: u64, chosen: &mut u64) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Group(choices) => {
                *chosen += 1;
                let at = mix(seed ^ mix(*chosen)) % choices.len().max(1) as u64;
                if let Some(choice) = usize::try_from(at).ok().and_then(|at| choices.get(at)) {
                    write(choice, out, seed, chosen);
                }
            }
        }
    }
}

/// SplitMix64's finalizer: near seeds give choices that have nothing to do with each other.
pub fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn flatten(pieces: &[Piece<'_>], out: &mut String) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Group(choices) => choices.iter().for_each(|c| flatten(c, out)),
        }
    }
}

fn collect(pieces: &[Piece<'_>], all: &mut Vec<String>) {
    for piece in pieces {
        let Piece::Group(choices) = piece else {
            continue;
        };
        for choice in choices {
            let mut text = String::new();
            flatten(choice, &mut text);
            all.push(text);
            collect(choice, all);
        }
    }
}

fn pieces(source: &str) -> Vec<Piece<'_>> {
    inside(source, &groups(source), (0, source.len()), 0)
}

/// Where a group ends, and where its bars are.
type Ends = (usize, Vec<usize>);

/// The groups of a source by where they begin, found in one pass.
fn groups(source: &str) -> BTreeMap<usize, Ends> {
    let bytes = source.as_bytes();
    let (mut found, mut open, mut at) = (BTreeMap::new(), Vec::<(usize, Vec<usize>)>::new(), 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => match owned_until(source, at) {
                Some(end) => {
                    at = end;
                    continue;
                }
                None => open.push((at, Vec::new())),
            },
            b'|' => {
                if let Some((_, bars)) = open.last_mut() {
                    bars.push(at);
                }
            }
            b'}' => {
                if let Some((from, bars)) = open.pop().filter(|(_, bars)| !bars.is_empty()) {
                    found.insert(from, (at, bars));
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Where something of the template language ends that begins here.
fn owned_until(source: &str, open: usize) -> Option<usize> {
    let end = match source.as_bytes().get(open + 1)? {
        b'{' => "}}",
        b'%' => "%}",
        b'#' => "#}",
        _ => return None,
    };
    let rest = &source[open + 2..];
    Some(rest.find(end).map_or(source.len(), |n| open + 2 + n + 2))
}

/// The pieces of a part of the source. What is nested too deep stays as it is.
fn inside<'a>(
    source: &'a str,
    groups: &BTreeMap<usize, Ends>,
    (from, to): (usize, usize),
    depth: usize,
) -> Vec<Piece<'a>> {
    let (mut pieces, mut text_from) = (Vec::new(), from);
    while depth < DEPTH_MAX
        && let Some((open, (close, bars))) = groups.range(text_from..to).next()
    {
        pieces.push(Piece::Text(&source[text_from..*open]));
        let starts = std::iter::once(open).chain(bars);
        let ends = bars.iter().chain([close]);
        let choice =
            |(start, end): (&usize, &usize)| inside(source, groups, (start + 1, *end), depth + 1);
        pieces.push(Piece::Group(starts.zip(ends).map(choice).collect()));
        text_from = close + 1;
    }
    pieces.push(Piece::Text(&source[text_from..to]));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_group_says_one_of_its_choices() {
        let source =
            "{Hi|Hello {there|{{ first_name | fallback(\"you\") }}}}, {% if a %}{x|y}{% endif %}";
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let text = spin(source, seed).into_owned();
            assert_eq!(text, spin(source, seed), "the same every time");
            seen.insert(text.split(',').next().expect("a part").to_owned());
        }
        let wanted = [
            "Hello there",
            "Hello {{ first_name | fallback(\"you\") }}",
            "Hi",
        ];
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), wanted);
        assert_eq!(choices("{a|b{c|d}}"), ["a", "bcd", "c", "d"]);
    }

    #[test]
    fn choices_are_about_as_frequent_as_each_other() {
        let n = (0..3000)
            .filter(|seed| spin("{a|b|c}", *seed) == "a")
            .count();
        assert!((900..1100).contains(&n), "{n}");
    }

    #[test]
    fn what_is_no_group_stays_as_it_is() {
        for text in [
            "a { color: red } b | c",
            "{{ x | upper }} {% if a %}|{% endif %}{# a|b #}",
            "{open | for ever",
            "} | {",
            "@media x { a { b: c } }",
            "{}",
            "{{",
        ] {
            assert_eq!(spin(text, 7), text);
            assert_eq!(flat(text), text);
        }
        let open = "{a|".repeat(50_000);
        assert_eq!(spin(&open, 1), open, "and takes no long time");
        let deep = format!("{}a|b{}", "{".repeat(3000), "}".repeat(3000));
        assert!(spin(&deep, 1).len() <= deep.len());
    }

    proptest! {
        #[test]
        fn it_never_panics_and_never_grows(text in "[{}|%# a-cé]{0,60}", seed: u64) {
            prop_assert!(spin(&text, seed).len() <= text.len());
            prop_assert!(flat(&text).len() <= text.len());
            choices(&text);
        }
    }
}
