//! Template filters over `format`.

use askama::filters::Safe;

use super::format;

/// Any of the integers that views carry.
pub trait Int {
    /// The number, wide enough for all of them.
    fn int(&self) -> i128;
}

macro_rules! int {
    ($($t:ty)*) => { $(impl Int for $t {
        fn int(&self) -> i128 {
            *self as i128
        }
    })* };
}
int! { u8 u16 u32 u64 usize i32 i64 }

impl<T: Int + ?Sized> Int for &T {
    fn int(&self) -> i128 {
        (**self).int()
    }
}

fn ms(n: impl Int) -> i64 {
    i64::try_from(n.int()).unwrap_or_default()
}

/// Thousands grouped.
#[askama::filter_fn]
pub fn count<T: Int>(n: T, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(format::count(n.int()))
}

/// A `<time>` element; `app.js` rewrites its text in the reader's own zone.
#[askama::filter_fn]
pub fn time<T: Int, N: Int>(at: T, _: &dyn askama::Values, now: N) -> askama::Result<Safe<String>> {
    let at = ms(at);
    let (iso, text) = (format::iso(at), format::when(at, ms(now)));
    Ok(Safe(format!("<time datetime=\"{iso}\">{text}</time>")))
}

/// A length of time given in seconds.
#[askama::filter_fn]
pub fn span<T: Int>(seconds: T, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(format::span(ms(seconds)))
}

/// A length of time given in milliseconds.
#[askama::filter_fn]
pub fn span_ms<T: Int>(n: T, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(format::span(ms(n) / 1000))
}

/// A size in bytes.
#[askama::filter_fn]
pub fn bytes<T: Int>(n: T, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(format::bytes(n.int()))
}

/// A stored word as people read it.
#[askama::filter_fn]
pub fn words<T: AsRef<str>>(word: T, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(format::words(word.as_ref()))
}

/// The start of an hour or a day in a chart's table.
#[askama::filter_fn]
pub fn bucket<T: Int, S: AsRef<str>>(
    at: T,
    _: &dyn askama::Values,
    step: S,
) -> askama::Result<String> {
    Ok(format::bucket(ms(at), step.as_ref()))
}
