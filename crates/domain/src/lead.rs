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

    /// The keys that this lead can be found by: kind and normalised value, strongest first. An e-mail address has one for
    /// each of its [forms](crate::address::forms).
    pub fn keys(&self) -> Vec<(&'static str, String)> {
        let email = self.get(Field::Email).map(crate::address::forms);
        let email = email.into_iter().flatten().map(|form| ("email", form));
        let linkedin = self
            .get(Field::Linkedin)
            .and_then(crate::address::linkedin)
            .map(|l| ("linkedin", l));
        email.chain(linkedin).collect()
    }

    /// Whether there is a key to find this lead by.
    pub fn has_key(&self) -> bool {
        self.get(Field::Email).is_some() || !self.keys().is_empty()
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
/// fields we know, folded by [`fold`]. The first column of a field has it.
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
    ("emailaddress1", Field::Email),
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
    ("currentjobtitle", Field::JobTitle),
    ("currentjob", Field::JobTitle),
    ("organizationtitle", Field::JobTitle),
    ("position", Field::JobTitle),
    ("role", Field::JobTitle),
    ("organization1title", Field::JobTitle),
    ("company", Field::Company),
    ("companyname", Field::Company),
    ("companynameforemails", Field::Company),
    ("organization", Field::Company),
    ("organisation", Field::Company),
    ("organization1name", Field::Company),
    ("organizationname", Field::Company),
    ("associatedcompany", Field::Company),
    ("primaryassociatedcompany", Field::Company),
    ("currentcompany", Field::Company),
    ("account", Field::Company),
    ("employer", Field::Company),
    ("firma", Field::Company),
    ("phone", Field::Phone),
    ("phonenumber", Field::Phone),
    ("mobile", Field::Phone),
    ("mobilephone", Field::Phone),
    ("workdirectphone", Field::Phone),
    ("phone1value", Field::Phone),
    ("mobilephonenumber", Field::Phone),
    ("businessphone", Field::Phone),
    ("workphone", Field::Phone),
    ("telephone", Field::Phone),
    ("tel", Field::Phone),
    ("linkedin", Field::Linkedin),
    ("linkedinurl", Field::Linkedin),
    ("personlinkedinurl", Field::Linkedin),
    ("linkedinprofile", Field::Linkedin),
    ("linkedinprofileurl", Field::Linkedin),
    ("linkedinurlpublic", Field::Linkedin),
    ("prospectlinkedinurl", Field::Linkedin),
    ("contactlinkedinurl", Field::Linkedin),
    ("defaultprofileurl", Field::Linkedin),
    ("country", Field::Country),
    ("countryregion", Field::Country),
    ("contactcountry", Field::Country),
    ("address1country", Field::Country),
    ("businesscountryregion", Field::Country),
    ("businesscountry", Field::Country),
    ("land", Field::Country),
];

/// Headers that lead to a field only where no column has a better one: Outlook's “Title” is “Dr.”, and the job has a
/// column of its own; a phone at home is better than none.
const WEAK_ALIASES: &[(&str, Field)] = &[
    ("title", Field::JobTitle),
    ("headline", Field::JobTitle),
    ("homephone", Field::Phone),
    ("corporatephone", Field::Phone),
    ("otherphone", Field::Phone),
    ("companyphone", Field::Phone),
    ("profileurl", Field::Linkedin),
    ("companycountry", Field::Country),
    ("homecountryregion", Field::Country),
];

/// Letters and digits only, in lower case: `E-mail Address` and `email_address` are the same header.
fn fold(header: &str) -> String {
    header
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

fn among(aliases: &[(&str, Field)], folded: &str) -> Option<Target> {
    let found = aliases.iter().find(|(alias, _)| *alias == folded);
    found.map(|(_, field)| Target::Field(*field))
}

fn strong_target(folded: &str) -> Option<Target> {
    match folded {
        "name" | "fullname" | "contactname" => Some(Target::FullName),
        _ => among(ALIASES, folded),
    }
}

/// The built-in target that a header names, if any.
pub fn known_target(header: &str) -> Option<Target> {
    let folded = fold(header);
    strong_target(&folded).or_else(|| among(WEAK_ALIASES, &folded))
}

/// The built-in targets of a file's columns by their headers. No two columns get the same one: the first has it, but a
/// header that surely means the field goes before one that may.
pub fn known_targets(headers: &[&str]) -> Vec<Option<Target>> {
    let folded: Vec<_> = headers.iter().map(|h| fold(h)).collect();
    // LinkedIn's own export calls the profile “URL”, as others call anything.
    let of_linkedin = folded.iter().any(|h| h == "connectedon");
    let mut targets: Vec<Option<Target>> = vec![None; headers.len()];
    let strong = |h: &str| match h {
        "url" if of_linkedin => Some(Target::Field(Field::Linkedin)),
        h => strong_target(h),
    };
    let weak = |h: &str| among(WEAK_ALIASES, h);
    give(&mut targets, &folded, strong);
    give(&mut targets, &folded, weak);
    targets
}

/// Gives columns that have no target the one that their header names, if it is free.
fn give(targets: &mut [Option<Target>], folded: &[String], named: impl Fn(&str) -> Option<Target>) {
    for (i, header) in folded.iter().enumerate() {
        let target = named(header);
        if targets[i].is_none() && target.is_some() && !targets.contains(&target) {
            targets[i] = target;
        }
    }
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

    /// Which header of an export leads where, in the order of the fields; the others are custom.
    fn led(line: &str) -> Vec<(&str, Target)> {
        let headers: Vec<_> = line.split(',').collect();
        let targets = known_targets(&headers);
        let mut led: Vec<_> = headers
            .into_iter()
            .zip(targets)
            .filter_map(|(h, t)| Some((h, t?)))
            .collect();
        let place = |t: &Target| match t {
            Target::Field(field) => *field as usize,
            _ => usize::MAX,
        };
        led.sort_by_key(|(_, t)| place(t));
        led
    }

    /// The first lines of real exports, shortened where columns only repeat.
    #[test]
    fn exports_of_other_tools_map_themselves() {
        let apollo = "First Name,Last Name,Title,Company,Company Name for Emails,Email,Email Status,Primary Email Source,\
            Seniority,Departments,Contact Owner,Work Direct Phone,Home Phone,Mobile Phone,Corporate Phone,Other Phone,Stage,\
            Lists,Last Contacted,Account Owner,# Employees,Industry,Keywords,Person Linkedin Url,Website,\
            Company Linkedin Url,Facebook Url,Twitter Url,City,State,Country,Company Address,Company City,Company State,\
            Company Country,Company Phone,Technologies,Annual Revenue";
        let hubspot = "Record ID,First Name,Last Name,Email,Phone Number,Contact owner,Primary Associated Company ID,\
            Associated Company,Last Activity Date (CET),Lead Status,Marketing contact status,Create Date (CET),Job Title,\
            Country/Region,LinkedIn URL";
        let navigator = "profileUrl,fullName,firstName,lastName,companyName,title,companyId,companyUrl,regularCompanyUrl,\
            summary,titleDescription,industry,companyLocation,location,durationInRole,connectionDegree,profileImageUrl,\
            vmid,linkedInProfileUrl,isPremium,query,timestamp,defaultProfileUrl";
        let connections = "First Name,Last Name,URL,Email Address,Company,Position,Connected On";
        let instantly = "email,first_name,last_name,company_name,personalization,phone,website,location,linkedin";
        let smartlead = "id,campaign_lead_map_id,status,created_at,first_name,last_name,email,phone_number,company_name,\
            website,location,custom_fields,linkedin_profile,company_url,is_unsubscribed";
        let google = "First Name,Middle Name,Last Name,Phonetic First Name,Name Prefix,Nickname,File As,\
            Organization Name,Organization Title,Organization Department,Birthday,Notes,Photo,Labels,E-mail 1 - Label,\
            E-mail 1 - Value,E-mail 2 - Label,E-mail 2 - Value,Phone 1 - Label,Phone 1 - Value,Address 1 - Country";
        let google_before = "Name,Given Name,Additional Name,Family Name,E-mail 1 - Type,E-mail 1 - Value,\
            Phone 1 - Type,Phone 1 - Value,Organization 1 - Name,Organization 1 - Title";
        let outlook = "Title,First Name,Middle Name,Last Name,Suffix,Company,Department,Job Title,Business Street,\
            Business City,Business Country/Region,Business Fax,Business Phone,Home Phone,Mobile Phone,E-mail Address,\
            E-mail Type,E-mail Display Name,E-mail 2 Address,Web Page";
        let expected: [(&str, &[&str]); 9] = [
            (
                apollo,
                &[
                    "Email",
                    "First Name",
                    "Last Name",
                    "Title",
                    "Company",
                    "Work Direct Phone",
                    "Person Linkedin Url",
                    "Country",
                ],
            ),
            (
                hubspot,
                &[
                    "Email",
                    "First Name",
                    "Last Name",
                    "Job Title",
                    "Associated Company",
                    "Phone Number",
                    "LinkedIn URL",
                    "Country/Region",
                ],
            ),
            (
                navigator,
                &[
                    "firstName",
                    "lastName",
                    "title",
                    "companyName",
                    "linkedInProfileUrl",
                    "fullName",
                ],
            ),
            (
                connections,
                &[
                    "Email Address",
                    "First Name",
                    "Last Name",
                    "Position",
                    "Company",
                    "URL",
                ],
            ),
            (
                instantly,
                &[
                    "email",
                    "first_name",
                    "last_name",
                    "company_name",
                    "phone",
                    "linkedin",
                ],
            ),
            (
                smartlead,
                &[
                    "email",
                    "first_name",
                    "last_name",
                    "company_name",
                    "phone_number",
                    "linkedin_profile",
                ],
            ),
            (
                google,
                &[
                    "E-mail 1 - Value",
                    "First Name",
                    "Last Name",
                    "Organization Title",
                    "Organization Name",
                    "Phone 1 - Value",
                    "Address 1 - Country",
                ],
            ),
            (
                google_before,
                &[
                    "E-mail 1 - Value",
                    "Given Name",
                    "Family Name",
                    "Organization 1 - Title",
                    "Organization 1 - Name",
                    "Phone 1 - Value",
                    "Name",
                ],
            ),
            (
                outlook,
                &[
                    "E-mail Address",
                    "First Name",
                    "Last Name",
                    "Job Title",
                    "Company",
                    "Business Phone",
                    "Business Country/Region",
                ],
            ),
        ];
        for (line, headers) in expected {
            let found: Vec<_> = led(line).into_iter().map(|(h, _)| h).collect();
            assert_eq!(found, headers, "{line}");
        }
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
