//! What the installation writes to people.

/// The text of a mail: what happened, the link if there is one, and what to do who did not ask for it.
fn text(parts: &[&str]) -> String {
    let mut text = parts.join("\n\n");
    text.push('\n');
    text
}

/// Subject and text of a mail.
pub type Mail = (String, String);

/// Somebody signed up to a product with this address.
pub fn confirm(product: &str, link: &str) -> Mail {
    let body = text(&[
        &format!(
            "Somebody signed up to {product} with this address. If it was you, confirm it here, within seven days:"
        ),
        link,
        "If it was not you, do nothing: the address stays unconfirmed.",
    ]);
    ("Confirm your e-mail address".to_owned(), body)
}

/// Somebody forgot their password for a product.
pub fn reset(product: &str, link: &str) -> Mail {
    let body = text(&[
        "Somebody asked for a new password for this address. If it was you, choose one here, within 30 minutes:",
        link,
        "The link works once. If it was not you, do nothing: your password stays as it is.",
    ]);
    (format!("A new password for {product}"), body)
}

/// The password was changed, and so many API keys ended with the old one.
pub fn password_changed(forgot: &str, keys_ended: u64) -> Mail {
    let changed = "The password of your account was changed just now, and you were logged out everywhere else.";
    let keys = keys_ended_words(keys_ended);
    let not_you = "If it was not you, choose a new one at once:";
    let body = match keys.as_str() {
        "" => text(&[changed, not_you, forgot]),
        keys => text(&[changed, keys, not_you, forgot]),
    };
    ("Your password was changed".to_owned(), body)
}

/// What is said of API keys that ended with a password; empty when none did.
pub fn keys_ended_words(keys_ended: u64) -> String {
    let ended = match keys_ended {
        0 => return String::new(),
        1 => "1 API key that was made before it has ended".to_owned(),
        n => format!("{n} API keys that were made before it have ended"),
    };
    format!(
        "The new password confirmed your address, and {ended}: make new ones for your programs."
    )
}

/// Somebody wants this address to be theirs.
pub fn change_email(old: &str, link: &str) -> Mail {
    let body = text(&[
        &format!(
            "{old} asked to be known by this address from now on. If it was you, confirm it here, within a day:"
        ),
        link,
        "If it was not you, do nothing.",
    ]);
    ("Confirm your new e-mail address".to_owned(), body)
}

/// Somebody asked for another address than this one.
pub fn email_asked(new: &str) -> Mail {
    let body = text(&[
        &format!(
            "You asked to be known as {new} from now on. This happens when the link in a mail to that address is followed."
        ),
        "If it was not you, somebody knows your password: log in and change it now.",
    ]);
    ("Your e-mail address is about to change".to_owned(), body)
}

/// The address was changed to another one.
pub fn email_changed(new: &str) -> Mail {
    let body = text(&[
        &format!(
            "From now on your account is known by {new}. Mails no longer come to this address."
        ),
        "If it was not you, write to the owner of your account at once.",
    ]);
    ("Your e-mail address was changed".to_owned(), body)
}

/// The second factor was switched on or off.
pub fn second_factor(on: bool) -> Mail {
    let (subject, what) = match on {
        true => (
            "Your second factor is on",
            "From now on logging in takes a code of your authenticator app.",
        ),
        false => (
            "Your second factor is off",
            "From now on logging in takes your password alone.",
        ),
    };
    let body = text(&[
        what,
        "If it was not you, somebody knows your password: log in and change it now.",
    ]);
    (subject.to_owned(), body)
}

/// Somebody is asked to join an account.
pub fn invite(by: &str, account: &str, link: &str) -> Mail {
    let body = text(&[
        &format!(
            "{by} invites you to work with {account}. Choose a password and begin here, within seven days:"
        ),
        link,
        "If you do not know them, do nothing.",
    ]);
    (format!("You are invited to {account}"), body)
}
