//! Values on their way to PostgreSQL and back, in its binary form. What fits what is as strict as
//! on Spin: a 32-bit parameter is for an `int4` and nothing else.

use super::bindings::spin::postgres::postgres::{
    DbDataType, DbValue, Interval, ParameterValue, RangeBoundKind,
};
use super::postgres_numeric::Numeric;
use bytes::{BufMut, BytesMut};
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The interface's name for a type.
pub fn data_type(kind: &Type) -> DbDataType {
    match *kind {
        Type::BOOL => DbDataType::Boolean,
        Type::INT2 => DbDataType::Int16,
        Type::INT4 => DbDataType::Int32,
        Type::INT8 => DbDataType::Int64,
        Type::FLOAT4 => DbDataType::Floating32,
        Type::FLOAT8 => DbDataType::Floating64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => DbDataType::Str,
        Type::BYTEA => DbDataType::Binary,
        Type::DATE => DbDataType::Date,
        Type::TIME => DbDataType::Time,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => DbDataType::Datetime,
        Type::UUID => DbDataType::Uuid,
        Type::JSONB => DbDataType::Jsonb,
        Type::NUMERIC => DbDataType::Decimal,
        Type::INT4_RANGE => DbDataType::RangeInt32,
        Type::INT8_RANGE => DbDataType::RangeInt64,
        Type::NUM_RANGE => DbDataType::RangeDecimal,
        Type::INT4_ARRAY => DbDataType::ArrayInt32,
        Type::INT8_ARRAY => DbDataType::ArrayInt64,
        Type::NUMERIC_ARRAY => DbDataType::ArrayDecimal,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => DbDataType::ArrayStr,
        Type::INTERVAL => DbDataType::Interval,
        _ => DbDataType::Other(kind.name().to_owned()),
    }
}

/// A value in a row.
pub struct Cell(pub DbValue);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        Ok(Self(match *kind {
            Type::BOOL => DbValue::Boolean(bool::from_sql(kind, raw)?),
            Type::INT2 => DbValue::Int16(i16::from_sql(kind, raw)?),
            Type::INT4 => DbValue::Int32(i32::from_sql(kind, raw)?),
            Type::INT8 => DbValue::Int64(i64::from_sql(kind, raw)?),
            Type::FLOAT4 => DbValue::Floating32(f32::from_sql(kind, raw)?),
            Type::FLOAT8 => DbValue::Floating64(f64::from_sql(kind, raw)?),
            Type::TEXT | Type::VARCHAR | Type::BPCHAR => DbValue::Str(String::from_sql(kind, raw)?),
            Type::BYTEA => DbValue::Binary(raw.to_vec()),
            Type::DATE => DbValue::Date(date(raw)?),
            Type::TIME => DbValue::Time(time_of(micros(raw)?)?),
            Type::TIMESTAMP | Type::TIMESTAMPTZ => DbValue::Datetime(datetime(raw)?),
            Type::UUID => DbValue::Uuid(uuid::Uuid::from_slice(raw)?.to_string()),
            // A version byte comes before the text.
            Type::JSONB => DbValue::Jsonb(raw.get(1..).unwrap_or_default().to_vec()),
            Type::NUMERIC => DbValue::Decimal(Numeric::from_sql(kind, raw)?.0),
            Type::INT4_RANGE => {
                DbValue::RangeInt32(range(raw, |raw| i32::from_sql(&Type::INT4, raw))?)
            }
            Type::INT8_RANGE => {
                DbValue::RangeInt64(range(raw, |raw| i64::from_sql(&Type::INT8, raw))?)
            }
            Type::NUM_RANGE => DbValue::RangeDecimal(range(raw, |raw| {
                Ok(Numeric::from_sql(&Type::NUMERIC, raw)?.0)
            })?),
            Type::INT4_ARRAY => DbValue::ArrayInt32(Vec::from_sql(kind, raw)?),
            Type::INT8_ARRAY => DbValue::ArrayInt64(Vec::from_sql(kind, raw)?),
            Type::NUMERIC_ARRAY => {
                let numbers = Vec::<Option<Numeric>>::from_sql(kind, raw)?;
                let text = |number: Option<Numeric>| number.map(|number| number.0);
                DbValue::ArrayDecimal(numbers.into_iter().map(text).collect())
            }
            Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => {
                DbValue::ArrayStr(Vec::from_sql(kind, raw)?)
            }
            Type::INTERVAL => DbValue::Interval(interval(raw)?),
            _ => DbValue::Unsupported(raw.to_vec()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, BoxError> {
        Ok(Self(DbValue::DbNull))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A value to send, already in its binary form; `None` is null.
#[derive(Debug)]
pub struct Parameter(Option<BytesMut>);

impl Parameter {
    /// Checks that a value fits what the statement wants there.
    pub fn new(value: &ParameterValue, kind: &Type) -> Result<Self, String> {
        let mut out = BytesMut::new();
        let encoded = encode(value, kind, &mut out).map_err(|error| error.to_string())?;
        Ok(match encoded {
            IsNull::Yes => Self(None),
            IsNull::No => Self(Some(out)),
        })
    }
}

impl ToSql for Parameter {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        match &self.0 {
            None => Ok(IsNull::Yes),
            Some(bytes) => {
                out.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn encode(value: &ParameterValue, kind: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
    match value {
        ParameterValue::DbNull => return Ok(IsNull::Yes),
        ParameterValue::Boolean(value) => return value.to_sql_checked(kind, out),
        ParameterValue::Int8(value) => return value.to_sql_checked(kind, out),
        ParameterValue::Int16(value) => return value.to_sql_checked(kind, out),
        ParameterValue::Int32(value) => return value.to_sql_checked(kind, out),
        ParameterValue::Int64(value) => return value.to_sql_checked(kind, out),
        ParameterValue::Floating32(value) => return value.to_sql_checked(kind, out),
        ParameterValue::Floating64(value) => return value.to_sql_checked(kind, out),
        ParameterValue::Str(value) => return value.to_sql_checked(kind, out),
        ParameterValue::Binary(value) => return value.to_sql_checked(kind, out),
        ParameterValue::ArrayInt32(values) => return values.to_sql_checked(kind, out),
        ParameterValue::ArrayInt64(values) => return values.to_sql_checked(kind, out),
        ParameterValue::ArrayStr(values) => return values.to_sql_checked(kind, out),
        ParameterValue::Decimal(value) => return number(value)?.to_sql_checked(kind, out),
        ParameterValue::ArrayDecimal(values) => {
            let numbers = values.iter().map(|value| value.as_deref().map(number));
            let numbers = numbers
                .map(Option::transpose)
                .collect::<Result<Vec<_>, _>>()?;
            return numbers.to_sql_checked(kind, out);
        }
        ParameterValue::Date(value) => {
            fits(kind, &[Type::DATE], "a date")?;
            out.put_i32(days(*value)?);
        }
        ParameterValue::Time((hour, minute, second, nano)) => {
            fits(kind, &[Type::TIME], "a time")?;
            let time = clock(*hour, *minute, *second, *nano)?;
            let seconds = i64::from(time.num_seconds_from_midnight());
            out.put_i64(seconds * 1_000_000 + i64::from(time.nanosecond() / 1000));
        }
        ParameterValue::Datetime((year, month, day, hour, minute, second, nano)) => {
            fits(kind, &[Type::TIMESTAMP], "a date and time")?;
            let date = calendar((*year, *month, *day))?;
            let since = date.and_time(clock(*hour, *minute, *second, *nano)?) - epoch();
            out.put_i64(since.num_microseconds().ok_or("the time is out of range")?);
        }
        ParameterValue::Timestamp(seconds) => {
            fits(kind, &[Type::TIMESTAMPTZ], "a timestamp")?;
            let since = seconds.checked_sub(epoch().and_utc().timestamp());
            let micros = since.and_then(|since| since.checked_mul(1_000_000));
            out.put_i64(micros.ok_or("the timestamp is out of range")?);
        }
        ParameterValue::Uuid(value) => {
            fits(kind, &[Type::UUID], "a UUID")?;
            out.put_slice(uuid::Uuid::parse_str(value)?.as_bytes());
        }
        ParameterValue::Jsonb(value) => {
            fits(kind, &[Type::JSON, Type::JSONB], "JSON")?;
            serde_json::from_slice::<serde::de::IgnoredAny>(value)?;
            if *kind == Type::JSONB {
                out.put_u8(1);
            }
            out.put_slice(value);
        }
        ParameterValue::RangeInt32(value) => {
            fits(kind, &[Type::INT4_RANGE], "a range of int4")?;
            put_range(value, out, |bound, out| bound.to_sql(&Type::INT4, out))?;
        }
        ParameterValue::RangeInt64(value) => {
            fits(kind, &[Type::INT8_RANGE], "a range of int8")?;
            put_range(value, out, |bound, out| bound.to_sql(&Type::INT8, out))?;
        }
        ParameterValue::RangeDecimal(value) => {
            fits(kind, &[Type::NUM_RANGE], "a range of numeric")?;
            put_range(value, out, |bound, out| {
                number(bound)?.to_sql(&Type::NUMERIC, out)
            })?;
        }
        ParameterValue::Interval(value) => {
            fits(kind, &[Type::INTERVAL], "an interval")?;
            out.put_i64(value.micros);
            out.put_i32(value.days);
            out.put_i32(value.months);
        }
    }
    Ok(IsNull::No)
}

fn fits(kind: &Type, wanted: &[Type], what: &str) -> Result<(), String> {
    match wanted.contains(kind) {
        true => Ok(()),
        false => Err(format!("{what} does not fit a parameter of type {kind}")),
    }
}

fn number(text: &str) -> Result<Numeric, BoxError> {
    let number = Numeric(text.to_owned());
    number.check()?;
    Ok(number)
}

/// PostgreSQL counts from the year 2000.
fn epoch() -> NaiveDateTime {
    first_day().and_time(NaiveTime::MIN)
}

fn first_day() -> NaiveDate {
    NaiveDate::from_yo_opt(2000, 1).unwrap_or_default()
}

fn calendar((year, month, day): (i32, u8, u8)) -> Result<NaiveDate, String> {
    NaiveDate::from_ymd_opt(year, month.into(), day.into())
        .ok_or_else(|| format!("{year}-{month}-{day} is no date"))
}

fn clock(hour: u8, minute: u8, second: u8, nano: u32) -> Result<NaiveTime, String> {
    NaiveTime::from_hms_nano_opt(hour.into(), minute.into(), second.into(), nano)
        .ok_or_else(|| format!("{hour}:{minute}:{second}.{nano:09} is no time"))
}

fn days(date: (i32, u8, u8)) -> Result<i32, BoxError> {
    let since = calendar(date)?.signed_duration_since(first_day());
    Ok(i32::try_from(since.num_days())?)
}

fn date(raw: &[u8]) -> Result<(i32, u8, u8), BoxError> {
    let days = i32::from_be_bytes(raw.try_into()?);
    let date = first_day().checked_add_signed(TimeDelta::days(days.into()));
    let date = date.ok_or("the date is out of range")?;
    Ok((
        date.year(),
        u8::try_from(date.month())?,
        u8::try_from(date.day())?,
    ))
}

fn micros(raw: &[u8]) -> Result<i64, BoxError> {
    Ok(i64::from_be_bytes(raw.try_into()?))
}

/// A time of the day; 24:00 is one for PostgreSQL, and none here.
fn time_of(micros: i64) -> Result<(u8, u8, u8, u32), BoxError> {
    let seconds = u32::try_from(micros.div_euclid(1_000_000))?;
    let nano = u32::try_from(micros.rem_euclid(1_000_000))? * 1000;
    let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, nano);
    let time = time.ok_or("the time is out of range")?;
    let part = |part: u32| u8::try_from(part).map_err(BoxError::from);
    Ok((
        part(time.hour())?,
        part(time.minute())?,
        part(time.second())?,
        nano,
    ))
}

/// Year, month, day, hour, minute, second, nanosecond: as Spin has it.
type Datetime = (i32, u8, u8, u8, u8, u8, u32);

fn datetime(raw: &[u8]) -> Result<Datetime, BoxError> {
    let time = epoch().checked_add_signed(TimeDelta::microseconds(micros(raw)?));
    let time = time.ok_or("the time is out of range")?;
    let part = |part: u32| u8::try_from(part).map_err(BoxError::from);
    Ok((
        time.year(),
        part(time.month())?,
        part(time.day())?,
        part(time.hour())?,
        part(time.minute())?,
        part(time.second())?,
        time.nanosecond(),
    ))
}

fn interval(raw: &[u8]) -> Result<Interval, BoxError> {
    let (micros, rest) = raw.split_at_checked(8).ok_or("an interval is cut off")?;
    let (days, months) = rest.split_at_checked(4).ok_or("an interval is cut off")?;
    Ok(Interval {
        micros: i64::from_be_bytes(micros.try_into()?),
        days: i32::from_be_bytes(days.try_into()?),
        months: i32::from_be_bytes(months.try_into()?),
    })
}

type Bound<T> = Option<(T, RangeBoundKind)>;

const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const UPPER_INCLUSIVE: u8 = 0x04;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;

/// Reads a range: flags, then each bound that is there with its length before it.
fn range<T>(
    raw: &[u8],
    read: impl Fn(&[u8]) -> Result<T, BoxError>,
) -> Result<(Bound<T>, Bound<T>), BoxError> {
    let (&flags, mut rest) = raw.split_first().ok_or("a range without flags")?;
    if flags & EMPTY != 0 {
        return Err("an empty range has no bounds to tell; ask for `isempty`".into());
    }
    let mut bound = |infinite, inclusive| -> Result<Bound<T>, BoxError> {
        if flags & infinite != 0 {
            return Ok(None);
        }
        let (length, after) = rest.split_at_checked(4).ok_or("a range is cut off")?;
        let length = usize::try_from(i32::from_be_bytes(length.try_into()?))?;
        let (value, after) = after.split_at_checked(length).ok_or("a range is cut off")?;
        rest = after;
        let kind = match flags & inclusive != 0 {
            true => RangeBoundKind::Inclusive,
            false => RangeBoundKind::Exclusive,
        };
        Ok(Some((read(value)?, kind)))
    };
    let lower = bound(LOWER_INFINITE, LOWER_INCLUSIVE)?;
    Ok((lower, bound(UPPER_INFINITE, UPPER_INCLUSIVE)?))
}

fn put_range<T>(
    (lower, upper): &(Bound<T>, Bound<T>),
    out: &mut BytesMut,
    write: impl Fn(&T, &mut BytesMut) -> Result<IsNull, BoxError>,
) -> Result<(), BoxError> {
    let flag = |bound: &Bound<T>, infinite, inclusive| match bound {
        None => infinite,
        Some((_, RangeBoundKind::Inclusive)) => inclusive,
        Some((_, RangeBoundKind::Exclusive)) => 0,
    };
    let lower_flag = flag(lower, LOWER_INFINITE, LOWER_INCLUSIVE);
    out.put_u8(lower_flag | flag(upper, UPPER_INFINITE, UPPER_INCLUSIVE));
    for (value, _) in lower.iter().chain(upper) {
        let start = out.len();
        out.put_i32(0);
        write(value, out)?;
        let length = i32::try_from(out.len() - start - 4)?;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}
