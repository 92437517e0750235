//! `numeric` of any length, as text on one side and in PostgreSQL's binary form on the other:
//! digits to the base 10,000 with the weight of the first, a sign, and the decimal places shown.

use bytes::{BufMut, BytesMut};
use std::fmt::Write as _;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITE: u16 = 0xD000;
const MINUS_INFINITE: u16 = 0xF000;
/// What the server itself takes.
const MOST_DIGITS: usize = 131_072;
const MOST_PLACES: usize = 16_383;

/// A number in base 10: `-12.50`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numeric(pub String);

impl Numeric {
    /// Says what is wrong with the text.
    pub fn check(&self) -> Result<(), BoxError> {
        parts(&self.0).map(drop)
    }
}

/// Whether it is negative, and its digits before and after the point.
fn parts(text: &str) -> Result<(bool, &str, &str), BoxError> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, places) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + places.len() == 0 || !digits(whole) || !digits(places) {
        return Err(format!("`{text:.40}` is not a decimal number").into());
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() > MOST_DIGITS || places.len() > MOST_PLACES {
        return Err("the decimal number is too long".into());
    }
    Ok((text.starts_with('-'), whole, places))
}

impl ToSql for Numeric {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        let (negative, whole, places) = parts(&self.0)?;
        // Four digits each, counted from the point in both directions.
        let head = whole.len().div_ceil(4);
        let mut text = "0".repeat(head * 4 - whole.len()) + whole + places;
        text.push_str(&"0".repeat(places.len().div_ceil(4) * 4 - places.len()));
        let four = |four: &[u8]| {
            four.iter()
                .fold(0, |sum, digit| sum * 10 + i16::from(digit - b'0'))
        };
        let digits: Vec<i16> = text.as_bytes().chunks(4).map(four).collect();
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        let trailing = digits.iter().rev().take_while(|digit| **digit == 0).count();
        let kept = match leading == digits.len() {
            true => &[][..],
            false => &digits[leading..digits.len() - trailing],
        };
        let weight = i16::try_from(head)? - 1 - i16::try_from(leading)?;
        out.put_i16(i16::try_from(kept.len())?);
        out.put_i16(if kept.is_empty() { 0 } else { weight });
        out.put_u16(if negative && !kept.is_empty() {
            NEGATIVE
        } else {
            0
        });
        out.put_u16(u16::try_from(places.len())?);
        for digit in kept {
            out.put_i16(*digit);
        }
        Ok(IsNull::No)
    }

    accepts!(NUMERIC);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Numeric {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        let words = raw
            .chunks_exact(2)
            .map(|two| u16::from_be_bytes([two[0], two[1]]));
        let words: Vec<u16> = words.collect();
        let [_, weight, sign, places, digits @ ..] = &words[..] else {
            return Err("a number is cut off".into());
        };
        let mut text = match *sign {
            0 => String::new(),
            NEGATIVE => "-".to_owned(),
            NAN => return Ok(Self("NaN".to_owned())),
            INFINITE => return Ok(Self("Infinity".to_owned())),
            MINUS_INFINITE => return Ok(Self("-Infinity".to_owned())),
            _ => return Err("a number with a sign that is none".into()),
        };
        let weight = i32::from(weight.cast_signed());
        let digit = |at: i32| {
            usize::try_from(at)
                .ok()
                .and_then(|at| digits.get(at))
                .copied()
        };
        let mut whole = String::new();
        for at in 0..=weight {
            // Writing to a String cannot fail.
            let _ = write!(whole, "{:04}", digit(at).unwrap_or(0));
        }
        let whole = whole.trim_start_matches('0');
        text.push_str(if whole.is_empty() { "0" } else { whole });
        let places = usize::from(*places);
        if places > 0 {
            let mut fraction = String::new();
            for at in weight + 1.. {
                if fraction.len() >= places {
                    break;
                }
                let _ = write!(fraction, "{:04}", digit(at).unwrap_or(0));
            }
            text.push('.');
            text.push_str(&fraction[..places]);
        }
        Ok(Self(text))
    }

    accepts!(NUMERIC);
}
