//! A lead's fields, and how the headers of other tools map to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The built-in fields of a lead, in the order they are stored and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// Normalised address.
    Email,
    /// Given name.
    FirstName,
    /// Family name.
    LastName,
    /// Title at the company.
    JobTitle,
    /// Company name.
    Company,
    /// Phone number as given.
    Phone,
    /// LinkedIn profile URL as given.
    Linkedin,
    /// Country as given.
    Country,
}

impl Field {
    /// All fields in order.
    pub const ALL: [Field; 8] = [
        Field::Email,
        Field::FirstName,
        Field::LastName,
        Field::JobTitle,
        Field::Company,
        Field::Phone,
        Field::Linkedin,
        Field::Country,
    ];

    /// The name in the API, in SQL and in templates.
    pub fn name(self) -> &'static str {
        match self {
            Field::Email => "email",
            Field::FirstName => "first_name",
            Field::LastName => "last_name",
            Field::JobTitle => "job_title",
            Field::Company => "company",
            Field::Phone => "phone",
            Field::Linkedin => "linkedin",
            Field::Country => "country",
        }
    }

    /// The field of that name.
    pub fn from_name(name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|f| f.name() == name)
    }
}

/// What is known of a lead; an absent field says nothing about the lead.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fields {
    /// Built-in fields by [`Field`] as index.
    pub built_in: [Option<String>; 8],
    /// Custom fields.
    pub data: BTreeMap<String, String>,
}

impl Fields {
    /// A built-in field's value.
    pub fn get(&self, field: Field) -> Option<&str> {
        self.built_in[field as usize].as_deref()
    }

    /// Sets a built-in field.
    pub fn set(&mut self, field: Field, value: impl Into<String>) {
        self.built_in[field as usize] = Some(value.into());
    }

    /// The keys that this lead can be found by: kind and normalised value, strongest first.
    pub fn keys(&self) -> Vec<(&'static str, String)> {
        let email = self.get(Field::Email).map(|e| ("email", e.to_owned()));
        let linkedin = self
            .get(Field::Linkedin)
            .and_then(crate::address::linkedin)
            .map(|l| ("linkedin", l));
        email.into_iter().chain(linkedin).collect()
    }

    /// Takes over every field that `newer` has. Absent fields never erase.
    pub fn absorb(&mut self, newer: &Fields) {
        for (mine, theirs) in self.built_in.iter_mut().zip(&newer.built_in) {
            if theirs.is_some() && mine != theirs {
                mine.clone_from(theirs);
            }
        }
        for (name, value) in &newer.data {
            self.data.insert(name.clone(), value.clone());
        }
    }
}

/// Where the cells of one column go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A built-in field.
    Field(Field),
    /// First and last name in one cell.
    FullName,
    /// A custom field of that name.
    Data(String),
}

/// The names that Apollo, HubSpot, LinkedIn Sales Navigator, Instantly, Smartlead, Google and Outlook give to the
/// fields we know, folded by [`fold`].
const ALIASES: &[(&str, Field)] = &[
    ("email", Field::Email),
    ("emailaddress", Field::Email),
    ("mail", Field::Email),
    ("workemail", Field::Email),
    ("primaryemail", Field::Email),
    ("businessemail", Field::Email),
    ("contactemail", Field::Email),
    ("email1value", Field::Email),
    ("email1", Field::Email),
    ("firstname", Field::FirstName),
    ("first", Field::FirstName),
    ("givenname", Field::FirstName),
    ("forename", Field::FirstName),
    ("vorname", Field::FirstName),
    ("lastname", Field::LastName),
    ("last", Field::LastName),
    ("surname", Field::LastName),
    ("familyname", Field::LastName),
    ("nachname", Field::LastName),
    ("jobtitle", Field::JobTitle),
    ("title", Field::JobTitle),
    ("position", Field::JobTitle),
    ("role", Field::JobTitle),
    ("organization1title", Field::JobTitle),
    ("company", Field::Company),
    ("companyname", Field::Company),
    ("companynameforemails", Field::Company),
    ("organization", Field::Company),
    ("organisation", Field::Company),
    ("organization1name", Field::Company),
    ("account", Field::Company),
    ("employer", Field::Company),
    ("firma", Field::Company),
    ("phone", Field::Phone),
    ("phonenumber", Field::Phone),
    ("mobile", Field::Phone),
    ("mobilephone", Field::Phone),
    ("workdirectphone", Field::Phone),
    ("phone1value", Field::Phone),
    ("telephone", Field::Phone),
    ("tel", Field::Phone),
    ("linkedin", Field::Linkedin),
    ("linkedinurl", Field::Linkedin),
    ("personlinkedinurl", Field::Linkedin),
    ("linkedinprofile", Field::Linkedin),
    ("linkedinprofileurl", Field::Linkedin),
    ("country", Field::Country),
    ("countryregion", Field::Country),
    ("contactcountry", Field::Country),
    ("land", Field::Country),
];

/// Letters and digits only, in lower case: `E-mail Address` and `email_address` are the same header.
fn fold(header: &str) -> String {
    header
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The built-in target that a header names, if any.
pub fn known_target(header: &str) -> Option<Target> {
    let folded = fold(header);
    if matches!(folded.as_str(), "name" | "fullname" | "contactname") {
        return Some(Target::FullName);
    }
    ALIASES
        .iter()
        .find(|(alias, _)| *alias == folded)
        .map(|(_, field)| Target::Field(*field))
}

/// The longest name a custom field may have, in characters.
pub const DATA_NAME_MAX: usize = 64;

/// A custom field's name from a header: lower snake case, so that a template can say it. Empty when nothing is left.
pub fn data_name(header: &str) -> String {
    let mut name = String::new();
    for c in header.trim().chars() {
        if c.is_alphanumeric() {
            name.extend(c.to_lowercase());
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_end_matches('_');
    let digit = name.starts_with(|c: char| c.is_ascii_digit());
    let name = if digit {
        format!("x{name}")
    } else {
        name.to_owned()
    };
    name.chars().take(DATA_NAME_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_other_tools_map_themselves() {
        for (header, field) in [
            ("Email Address", Field::Email),
            ("E-mail 1 - Value", Field::Email),
            ("Person Linkedin Url", Field::Linkedin),
            ("Company Name for Emails", Field::Company),
            ("FIRST_NAME", Field::FirstName),
            ("Country/Region", Field::Country),
        ] {
            assert_eq!(known_target(header), Some(Target::Field(field)), "{header}");
        }
        assert_eq!(known_target("Full name"), Some(Target::FullName));
        assert_eq!(known_target("Favourite colour"), None);
    }

    #[test]
    fn custom_fields_have_names_that_templates_can_say() {
        assert_eq!(data_name(" Favourite Colour! "), "favourite_colour");
        assert_eq!(data_name("2nd choice"), "x2nd_choice");
        assert_eq!(data_name("***"), "");
    }

    #[test]
    fn absent_fields_never_erase() {
        let mut old = Fields::default();
        old.set(Field::Company, "Acme");
        old.data.insert("plan".into(), "gold".into());
        let mut new = Fields::default();
        new.set(Field::Country, "DE");
        old.absorb(&new);
        assert_eq!(old.get(Field::Company), Some("Acme"));
        assert_eq!(old.get(Field::Country), Some("DE"));
        assert_eq!(old.data["plan"], "gold");
    }
}
