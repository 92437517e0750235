//! Somebody's own account: password, address, second factor, sessions.

use askama::Template;

use super::{Field, Page, filters, password, view};

/// `GET /profile`, and the answer to its forms when they are refused: `POST /profile/password` (`old_password`,
/// `new_password`, `password_code`), `POST /profile/email` (`email`, `password`, `email_code`), `POST /profile/second-factor` (`factor_password`),
/// `POST /profile/second-factor/removal` and `…/recovery-codes` (`factor_password`, `code`),
/// `POST /profile/sessions/{id}/end` and `POST /profile/sessions/end`, `POST /team/{id}/removal`.
#[derive(Debug, Template)]
#[template(path = "you/show.html")]
pub struct You {
    /// The frame.
    pub page: Page,
    /// What is wrong beyond one field.
    pub error: Option<String>,
    /// Their id.
    pub id: String,
    /// Their address.
    pub email: String,
    /// What they are.
    pub role: String,
    /// Whether the address was shown to be theirs.
    pub confirmed: bool,
    /// What is wrong with the password until now.
    pub old_password_error: Option<String>,
    /// What is wrong with the new one.
    pub new_password_error: Option<String>,
    /// What is wrong with the code beside it.
    pub password_code_error: Option<String>,
    /// The new address.
    pub new_email: Field,
    /// What is wrong with the password beside it.
    pub email_password_error: Option<String>,
    /// What is wrong with the code beside that.
    pub email_code_error: Option<String>,
    /// Whether logging in takes a code.
    pub second_factor: bool,
    /// Recovery codes that are left.
    pub codes_left: i64,
    /// What is wrong with the password of the second factor's forms.
    pub factor_password_error: Option<String>,
    /// What is wrong with their code.
    pub code_error: Option<String>,
    /// The one used last first.
    pub sessions: Vec<SessionRow>,
}
view!(You, "profile");

impl You {
    fn password_min(&self) -> usize {
        password::password_min()
    }

    fn hint(&self) -> String {
        password::hint()
    }
}

/// One session of the list.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// Its name.
    pub id: String,
    /// Whether it is this one.
    pub current: bool,
    /// Browser and system, as far as they say so.
    pub browser: String,
    /// The host that it is bound to, when it is not the master's.
    pub host: String,
    /// Where it logged in from.
    pub address: String,
    /// When it began.
    pub created_at: i64,
    /// When it was last used.
    pub last_seen_at: i64,
}

/// A browser's name for people, of what it says it is.
#[must_use]
pub fn browser(agent: &str) -> String {
    // Most browsers name those that they want to pass for, so the order counts.
    const BROWSERS: [(&str, &str); 7] = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("HeadlessChrome/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    const SYSTEMS: [(&str, &str); 6] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let named = |list: &[(&str, &'static str)]| {
        let found = list.iter().find(|(mark, _)| agent.contains(mark));
        found.map(|(_, name)| *name)
    };
    match (named(&BROWSERS), named(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "Unknown browser".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::browser;

    #[test]
    fn browsers_are_named_as_people_know_them() {
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36 Edg/120.0";
        assert_eq!(browser(edge), "Edge on Windows");
        let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605 Version/17.0 Mobile Safari/604.1";
        assert_eq!(browser(safari), "Safari on iPhone");
        assert_eq!(browser("curl/8.0"), "curl");
        assert_eq!(browser(""), "Unknown browser");
    }
}
