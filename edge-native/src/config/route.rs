//! Routes as Spin matches them: exact, `:param` segments, a trailing `/...`; the most specific wins.

use std::cmp::Reverse;

/// A route's pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    raw: String,
    segments: Vec<Segment>,
    wildcard: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Param(String),
}

/// What a pattern says about a path that it matches.
#[derive(Debug, PartialEq, Eq)]
pub struct Match<'p> {
    /// What the trailing `/...` took, with its leading slash; empty for an exact route.
    pub rest: &'p str,
    /// The values of `:param` segments, by name.
    pub params: Vec<(&'p str, &'p str)>,
}

impl Pattern {
    /// Reads a pattern; the error is a sentence about what is wrong with it.
    pub fn parse(raw: &str) -> Result<Self, String> {
        if !raw.starts_with('/') {
            return Err(format!("the route {raw:?} does not begin with `/`"));
        }
        let (path, wildcard) = match raw.strip_suffix("/...") {
            Some(path) => (path, true),
            None => (raw.strip_suffix('/').unwrap_or(raw), false),
        };
        let mut segments = Vec::new();
        for segment in path.split('/').skip(1) {
            if segment.contains("...") || segment.contains('*') {
                return Err(format!(
                    "the route {raw:?} has a wildcard that is not its end `/...`"
                ));
            }
            segments.push(match segment.strip_prefix(':') {
                Some("") => {
                    return Err(format!("the route {raw:?} has a parameter without a name"));
                }
                Some(name) => Segment::Param(name.to_owned()),
                None => Segment::Literal(segment.to_owned()),
            });
        }
        Ok(Self {
            raw: raw.to_owned(),
            segments,
            wildcard,
        })
    }

    /// The pattern as the manifest has it.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The pattern without its `/...`, for the header that Spin sets.
    pub fn base(&self) -> &str {
        self.raw.strip_suffix("/...").unwrap_or(&self.raw)
    }

    /// True when two patterns match exactly the same paths.
    pub fn same_as(&self, other: &Self) -> bool {
        let alike = |(a, b): (&Segment, &Segment)| match (a, b) {
            (Segment::Literal(a), Segment::Literal(b)) => a == b,
            (a, b) => matches!((a, b), (Segment::Param(_), Segment::Param(_))),
        };
        self.wildcard == other.wildcard
            && self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(alike)
    }

    /// Matches a path; a trailing slash of an exact route does not matter.
    pub fn matches<'p>(&'p self, path: &'p str) -> Option<Match<'p>> {
        let mut rest = path;
        let mut params = Vec::new();
        for segment in &self.segments {
            let inner = rest.strip_prefix('/')?;
            let end = inner.find('/').unwrap_or(inner.len());
            let (value, after) = inner.split_at(end);
            match segment {
                Segment::Literal(literal) if literal == value => {}
                Segment::Param(name) if !value.is_empty() => params.push((name.as_str(), value)),
                _ => return None,
            }
            rest = after;
        }
        if self.wildcard {
            return Some(Match { rest, params });
        }
        matches!(rest, "" | "/").then_some(Match { rest: "", params })
    }

    /// Sorts more specific patterns first: literals before parameters before the end, exact
    /// before wildcard.
    fn rank(&self) -> (Vec<u8>, Reverse<usize>) {
        let kind = |segment: &Segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Param(_) => 1,
        };
        let mut kinds: Vec<u8> = self.segments.iter().map(kind).collect();
        kinds.push(if self.wildcard { 3 } else { 2 });
        (kinds, Reverse(self.segments.len()))
    }
}

/// Routes to targets, the most specific first.
#[derive(Debug, Clone)]
pub struct Routes<T>(Vec<(Pattern, T)>);

impl<T> Routes<T> {
    /// Orders the routes once, so that the first match is the right one.
    pub fn new(mut routes: Vec<(Pattern, T)>) -> Self {
        routes.sort_by_cached_key(|(pattern, _)| pattern.rank());
        Self(routes)
    }

    /// The target of a path and what the pattern took from it.
    pub fn find<'p>(&'p self, path: &'p str) -> Option<(&'p Pattern, &'p T, Match<'p>)> {
        self.0
            .iter()
            .find_map(|(pattern, target)| Some((pattern, target, pattern.matches(path)?)))
    }

    /// Every route, the most specific first.
    pub fn iter(&self) -> impl Iterator<Item = &(Pattern, T)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(patterns: &[&'static str]) -> Routes<&'static str> {
        let parsed = patterns
            .iter()
            .map(|p| (Pattern::parse(p).unwrap(), *p))
            .collect();
        Routes::new(parsed)
    }

    #[test]
    fn the_most_specific_route_wins() {
        let routes = routes(&[
            "/...",
            "/s/...",
            "/s/:id/leads",
            "/s/new/leads",
            "/worker/v1/...",
        ]);
        let found = |path| routes.find(path).map(|(_, target, _)| *target);
        assert_eq!(found("/"), Some("/..."));
        assert_eq!(found("/x/y"), Some("/..."));
        assert_eq!(found("/s"), Some("/s/..."));
        assert_eq!(found("/s/"), Some("/s/..."));
        assert_eq!(found("/same"), Some("/..."));
        assert_eq!(found("/s/7/leads"), Some("/s/:id/leads"));
        assert_eq!(found("/s/new/leads"), Some("/s/new/leads"));
        assert_eq!(found("/s/7/leads/1"), Some("/s/..."));
        assert_eq!(found("/worker/v1/claim"), Some("/worker/v1/..."));
    }

    #[test]
    fn a_wildcard_keeps_the_rest_and_a_parameter_its_value() {
        let pattern = Pattern::parse("/s/:id/...").unwrap();
        let found = pattern.matches("/s/7/a/b").unwrap();
        assert_eq!(
            found,
            Match {
                rest: "/a/b",
                params: vec![("id", "7")]
            }
        );
        assert_eq!(pattern.base(), "/s/:id");
        assert!(pattern.matches("/s").is_none());
    }

    #[test]
    fn exact_routes_take_a_trailing_slash_only() {
        let pattern = Pattern::parse("/health").unwrap();
        assert!(pattern.matches("/health").is_some());
        assert!(pattern.matches("/health/").is_some());
        assert!(pattern.matches("/health/x").is_none());
        assert!(pattern.matches("/healthy").is_none());
        assert!(Pattern::parse("/").unwrap().matches("/").is_some());
        assert!(Pattern::parse("/").unwrap().matches("/x").is_none());
    }

    #[test]
    fn broken_routes_are_refused() {
        for bad in ["", "x", "/a/.../b", "/*", "/:"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}
