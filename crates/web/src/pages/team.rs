//! The people of an account, and those who are invited.

use askama::Template;

use super::{Choice, Field, Page, Pair, filters, view};

/// `GET /team`, and the answer to a refused `POST /team/invites` (fields `email`, `role`, `place`…).
/// `POST /team/invites/{id}/mail` sends again, `…/revocation` takes back.
#[derive(Debug, Template)]
#[template(path = "team/list.html")]
pub struct Team {
    /// The frame.
    pub page: Page,
    /// What is wrong beyond one field.
    pub error: Option<String>,
    /// In the order in which they came.
    pub people: Vec<PersonRow>,
    /// Newest first.
    pub invites: Vec<InviteRow>,
    /// Address of the new one.
    pub email: Field,
    /// Role of the new one.
    pub role: String,
    /// Roles that may be given.
    pub roles: Vec<Choice>,
    /// The account's sub-accounts.
    pub places: Vec<Check>,
}
view!(Team, "team");

impl Team {
    fn explained(&self) -> Vec<Pair> {
        vec![
            Pair::new("Client", "looks at what was done, and answers replies"),
            Pair::new("Member", "works with leads, rules and senders"),
            Pair::new(
                "Admin",
                "works everywhere, and looks after people, keys and sub-accounts",
            ),
            Pair::new("Owner", "the same, and decides who owns the account"),
        ]
    }
}

/// Something to tick.
#[derive(Debug, Clone)]
pub struct Check {
    /// What the form sends.
    pub value: String,
    /// What the person reads.
    pub label: String,
    /// Whether it is ticked.
    pub chosen: bool,
}

/// One person of the list.
#[derive(Debug, Clone)]
pub struct PersonRow {
    /// UUID.
    pub id: String,
    /// Their address.
    pub email: String,
    /// What they are.
    pub role: String,
    /// Whether it is the reader.
    pub you: bool,
    /// Whether the address was shown to be theirs.
    pub confirmed: bool,
    /// Whether logging in takes a code.
    pub second_factor: bool,
    /// Whether they work everywhere.
    pub everywhere: bool,
    /// Names of the sub-accounts they work in.
    pub places: String,
    /// When they were last here.
    pub last_seen_at: Option<i64>,
}

/// One invitation of the list.
#[derive(Debug, Clone)]
pub struct InviteRow {
    /// UUID.
    pub id: String,
    /// Their address.
    pub email: String,
    /// What they will be.
    pub role: String,
    /// Names of the sub-accounts they will work in.
    pub places: String,
    /// Who invited them.
    pub invited_by: String,
    /// Until when it can be accepted.
    pub expires_at: i64,
}

/// `GET /team/{id}`, and the answer to its forms when they are refused: `POST /team/{id}/role` (`role`),
/// `POST /team/{id}/grants` (`place`, `grant_role`), `POST /team/{id}/grants/{place}/removal`, `POST /team/{id}/removal`.
#[derive(Debug, Template)]
#[template(path = "team/show.html")]
pub struct Person {
    /// The frame.
    pub page: Page,
    /// What was refused.
    pub error: Option<String>,
    /// Who it is.
    pub person: PersonRow,
    /// When they came.
    pub created_at: i64,
    /// Roles that may be given.
    pub roles: Vec<Choice>,
    /// Where they work.
    pub grants: Vec<GrantRow>,
    /// Where they could work.
    pub places: Vec<Choice>,
}
view!(Person, "team");

/// One sub-account that somebody works in.
#[derive(Debug, Clone)]
pub struct GrantRow {
    /// UUID.
    pub id: String,
    /// Its name.
    pub label: String,
    /// What they are there.
    pub role: String,
}
