//! What a person may say about an import: how its file is to be read, where its cells go, and what becomes of leads that
//! are there already.

use serde::{Deserialize, Serialize};

use crate::lead::{Field, Target, data_name};
use crate::table::{COLUMNS_MAX, Column};
use crate::{address, normal};

/// Which rows may change leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// New leads are made, and those that exist are completed.
    #[default]
    Both,
    /// Only new leads: those that exist are skipped.
    Create,
    /// Only leads that exist: the others are skipped.
    Update,
}

impl Mode {
    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Mode> {
        match name {
            "both" => Some(Mode::Both),
            "create" => Some(Mode::Create),
            "update" => Some(Mode::Update),
            _ => None,
        }
    }
}

/// A value for every lead of a file whose row says nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// Where it goes.
    pub target: Target,
    /// What every lead gets.
    pub value: String,
}

/// The most constants an import may have.
pub const CONSTANTS_MAX: usize = 50;
/// The most bytes they may have together: each row gets all of them.
const CONSTANTS_BYTES: usize = 4096;

/// What was said about an import; what was not said is found out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Which rows may change leads.
    pub mode: Mode,
    /// Whether the first record names the columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Between two cells: `,`, `;`, tab or `|`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// A name that [`crate::dialect::Charset::known`] knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// The country (ISO 3166, two capital letters) of phone numbers that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_country: Option<String>,
    /// What every lead gets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub constants: Vec<Constant>,
}

/// A delimiter that a file may be read with.
pub fn delimiter(text: &str) -> Option<char> {
    match text {
        "," | ";" | "\t" | "|" => text.chars().next(),
        "tab" => Some('\t'),
        _ => None,
    }
}

/// What is wrong with a mapping: the field of the API, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingError {
    /// `columns[2].target`, `constants[0].value`, `columns`.
    pub field: String,
    /// What it must be.
    pub message: String,
}

fn refuse<T>(field: String, message: impl Into<String>) -> Result<T, MappingError> {
    Err(MappingError {
        field,
        message: message.into(),
    })
}

/// Whether a target names something that there can be.
fn check_target(field: &str, target: &Target) -> Result<(), MappingError> {
    let Target::Data(name) = target else {
        return Ok(());
    };
    if Field::from_name(name).is_some() {
        return refuse(
            field.to_owned(),
            format!("“{name}” is a built-in field; choose that instead of a custom one"),
        );
    }
    match !name.is_empty() && data_name(name) == *name {
        true => Ok(()),
        false => refuse(
            field.to_owned(),
            "a custom field's name has small letters, digits and underscores, begins with a letter and has at most 64 characters",
        ),
    }
}

/// The columns of a file with the targets that somebody chose, one for each column.
///
/// # Errors
/// [`MappingError`] for the first thing that cannot be done.
pub fn with_targets(
    columns: &[Column],
    targets: Vec<Option<Target>>,
) -> Result<Vec<Column>, MappingError> {
    if targets.len() != columns.len() || targets.len() > COLUMNS_MAX {
        return refuse(
            "columns".to_owned(),
            format!(
                "must have one entry for each of the {} columns of the file",
                columns.len()
            ),
        );
    }
    let mut mapped: Vec<Column> = Vec::with_capacity(columns.len());
    for (i, (column, target)) in columns.iter().zip(targets).enumerate() {
        let field = format!("columns[{i}].target");
        if let Some(target) = &target {
            check_target(&field, target)?;
            if let Some(other) = mapped.iter().find(|c| c.target.as_ref() == Some(target)) {
                return refuse(
                    field,
                    format!("the column “{}” goes there already", other.header),
                );
            }
        }
        mapped.push(Column {
            header: column.header.clone(),
            target,
        });
    }
    Ok(mapped)
}

/// Checks that every lead of a file can be known by something, and that the constants are worth having.
///
/// # Errors
/// [`MappingError`] for the first thing that cannot be done.
pub fn check(columns: &[Column], options: &Options) -> Result<(), MappingError> {
    let key = |t: &Target| matches!(t, Target::Field(Field::Email | Field::Linkedin));
    if !columns.iter().filter_map(|c| c.target.as_ref()).any(key) {
        return refuse(
            "columns".to_owned(),
            "one column must hold e-mail addresses or LinkedIn profiles: leads are known by them",
        );
    }
    check_constants(&options.constants)
}

fn check_constants(constants: &[Constant]) -> Result<(), MappingError> {
    if constants.len() > CONSTANTS_MAX {
        return refuse(
            "constants".to_owned(),
            format!("at most {CONSTANTS_MAX} are taken"),
        );
    }
    if constants.iter().map(|c| c.value.len()).sum::<usize>() > CONSTANTS_BYTES {
        let reason = format!("together they may have {CONSTANTS_BYTES} bytes");
        return refuse("constants".to_owned(), reason);
    }
    for (i, Constant { target, value }) in constants.iter().enumerate() {
        let field = format!("constants[{i}].target");
        check_target(&field, target)?;
        if matches!(
            target,
            Target::Field(Field::Email | Field::Linkedin) | Target::FullName
        ) {
            return refuse(field, "not all leads can have the same one");
        }
        if value.trim().is_empty() || value.contains('\0') {
            return refuse(
                format!("constants[{i}].value"),
                "must not be empty, nor hold a NUL",
            );
        }
    }
    Ok(())
}

/// The form in which a cell is stored; none when an e-mail cell is no address.
///
/// # Errors
/// What [`address::normalize`] says of an e-mail address.
pub fn stored(
    target: &Target,
    cell: &str,
    options: &Options,
) -> Result<String, address::AddressError> {
    Ok(match target {
        Target::Field(Field::Email) => address::normalize(cell)?,
        Target::Field(Field::Phone) => normal::phone(cell, options.phone_country.as_deref()),
        Target::Field(Field::Linkedin) => normal::linkedin(cell),
        Target::Field(Field::FirstName | Field::LastName) | Target::FullName => normal::name(cell),
        Target::Field(_) => cell.to_owned(),
        Target::Data(name) => match name.as_str() {
            "facebook" | "facebook_url" | "facebook_profile" => normal::facebook(cell),
            "company_domain" | "domain" => normal::domain(cell),
            _ => cell.to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(headers: &[&str]) -> Vec<Column> {
        let headers: Vec<_> = headers.iter().map(|h| (*h).to_owned()).collect();
        crate::table::columns_of_header(&headers)
    }

    #[test]
    fn a_mapping_names_what_is_wrong_with_it() {
        let file = columns(&["Email", "Note", "Other"]);
        let email = Some(Target::Field(Field::Email));
        let data = |name: &str| Some(Target::Data(name.to_owned()));
        for (targets, field) in [
            (vec![email.clone()], "columns"),
            (
                vec![email.clone(), email.clone(), None],
                "columns[1].target",
            ),
            (
                vec![email.clone(), data("email"), None],
                "columns[1].target",
            ),
            (
                vec![email.clone(), None, data("No Way")],
                "columns[2].target",
            ),
            (vec![email.clone(), None, data("")], "columns[2].target"),
        ] {
            let refused = with_targets(&file, targets).unwrap_err();
            assert_eq!(refused.field, field, "{refused:?}");
        }
        let mapped = with_targets(&file, vec![email, None, data("shoe")]).unwrap();
        assert!(check(&mapped, &Options::default()).is_ok());
        assert_eq!(
            check(&mapped[1..], &Options::default()).unwrap_err().field,
            "columns"
        );
    }

    #[test]
    fn a_constant_is_for_what_many_leads_can_share() {
        let file = columns(&["Email"]);
        let with = |target: Target, value: &str| Options {
            constants: vec![Constant {
                target,
                value: value.to_owned(),
            }],
            ..Options::default()
        };
        let country = Target::Field(Field::Country);
        assert!(check(&file, &with(country.clone(), "DE")).is_ok());
        let field = |o: &Options| check(&file, o).unwrap_err().field;
        assert_eq!(field(&with(country, " ")), "constants[0].value");
        let email = Target::Field(Field::Email);
        assert_eq!(field(&with(email, "a@x.test")), "constants[0].target");
    }

    #[test]
    fn options_that_nobody_gave_are_nothing() {
        let none: Options = serde_json::from_str("{}").unwrap();
        assert_eq!(none, Options::default());
        assert_eq!(serde_json::to_string(&none).unwrap(), r#"{"mode":"both"}"#);
    }
}
