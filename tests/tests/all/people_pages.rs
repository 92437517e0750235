//! The pages of people in a real browser, with the mails that `sluice up` shows when it has no relay.

use tests::harness::{Browser, Page, Sluice, totp};

const PASSWORD: &str = "correct horse battery";

/// What the page looks like on a desk and on a phone; on neither must one scroll sideways.
fn look(page: &mut Page, name: &str) {
    for (device, width, height) in [("phone", 390, 844), ("desktop", 1280, 900)] {
        page.resize(width, height);
        page.screenshot(&format!("{device}-{name}"));
        assert!(!page.is_too_wide(), "{name} is wider than a {device}");
    }
}

/// The link in the newest mail with a subject, found as a person finds it: on the page of mails.
fn link(page: &mut Page, mails: &str, subject: &str) -> String {
    page.open(mails);
    page.wait_until(subject, |page| {
        page.reload();
        page.eval("document.querySelector('li a')?.innerText") == subject
    });
    page.follow("li a");
    let text = page.eval("document.querySelector('pre').innerText");
    let text = text.as_str().expect("a text");
    let mut words = text.split_whitespace();
    words
        .find(|word| word.starts_with("http"))
        .unwrap_or_else(|| panic!("a link in {text}"))
        .to_owned()
}

#[test]
fn people_find_their_way_by_pages_and_mails() {
    let (sluice, browser) = (Sluice::start(), Browser::start());
    let log = sluice.log();
    let mails = log
        .split_once("mails of this installation: ")
        .and_then(|(_, rest)| rest.lines().next())
        .expect("where the mails are");
    let mut page = browser.page(1280, 900);
    let at = |path: &str| format!("{}{path}", sluice.url());

    page.open(&at("/signup"));
    page.fill("#account", "Ann & Co");
    page.fill("#email", "ann@agency.test");
    page.fill("#password", "an old password");
    page.follow("form button[type=submit]");
    page.fill("#name", "Acme");
    page.follow("form[action='/subaccounts'] button");
    page.wait_for("a.button[href*='/s/']");
    let confirm = link(&mut page, mails, "Confirm your e-mail address");
    page.screenshot("desktop-mail");
    page.open(&confirm);
    look(&mut page, "confirm");
    page.follow("form button[type=submit]");
    page.wait_for_text("Your address is confirmed");
    look(&mut page, "confirmed");

    let secret = set_up_second_factor(&mut page, &sluice);
    invite(&mut page, &sluice, mails);

    // Forgotten: a link, a new password, and still the code.
    page.open(&at("/login"));
    page.follow("a[href='/forgot']");
    look(&mut page, "forgot");
    page.fill("#email", "ann@agency.test");
    page.follow("form button[type=submit]");
    page.wait_for_text("Look into your mail");
    look(&mut page, "forgot-sent");
    let reset = link(&mut page, mails, "A new password for Sluice");
    page.open(&reset);
    look(&mut page, "reset");
    page.fill("#password", PASSWORD);
    page.follow("form button[type=submit]");
    page.wait_for_text("Your password is changed");
    page.open(&reset);
    page.fill("#password", PASSWORD);
    page.follow("form button[type=submit]");
    page.wait_for_text("This link does not work any more");
    look(&mut page, "reset-spent");
    page.open(&at("/login"));
    page.fill("#email", "ann@agency.test");
    page.fill("#password", PASSWORD);
    page.follow("form button[type=submit]");
    page.wait_for_text("Second step");
    page.fill("#code", "000000");
    page.follow("form button[type=submit]");
    look(&mut page, "second-step-refused");
    assert!(page.count(".problem") > 0, "{}", page.text());
    page.fill("#code", &totp(&secret, 1));
    page.follow("form button[type=submit]");
    page.wait_for_text("New sub-account");

    page.open(&at("/audit-log"));
    page.wait_for_text("mem@agency.test");
    look(&mut page, "audit-log");
    // What was refused on purpose is an error by its status; nothing else may be.
    let faults = page.unexpected_faults();
    assert!(faults.is_empty(), "{faults:?}");
}

/// Gives the secret.
fn set_up_second_factor(page: &mut Page, sluice: &Sluice) -> String {
    page.open(&format!("{}/profile", sluice.url()));
    look(page, "profile-of-person");
    page.fill("#factor_password", "an old password");
    page.follow("form[action='/profile/second-factor'] button");
    assert_eq!(page.count(".qr svg"), 1);
    look(page, "second-factor");
    let secret = page.eval("document.querySelector('#totp-secret').innerText");
    let secret = secret.as_str().expect("a secret").to_owned();
    page.fill("#code", "12");
    page.follow("form.form button[type=submit]");
    look(page, "second-factor-refused");
    assert!(page.count(".problem") > 0, "{}", page.text());
    page.fill("#code", &totp(&secret, 0));
    page.follow("form.form button[type=submit]");
    page.wait_for_text("Recovery codes");
    let codes = page.eval("document.querySelector('#codes').innerText.trim().split('\\n').length");
    assert_eq!(codes, 10);
    look(page, "recovery-codes");
    page.follow("a.button[href='/profile']");
    page.wait_for_text("10 recovery codes are left");
    look(page, "second-factor-on");
    secret
}

/// Somebody is invited as a member of the one sub-account, and begins to work there.
fn invite(page: &mut Page, sluice: &Sluice, mails: &str) {
    let team = format!("{}/team", sluice.url());
    page.open(&team);
    look(page, "team");
    page.fill("#email", "mem@agency.test");
    page.fill("#role", "member");
    page.click("#place-1");
    page.follow("form[action='/team/invites'] button[type=submit]");
    page.wait_for_text("mem@agency.test");
    look(page, "team-invited");
    page.follow("form[action$='/logout'] button");

    let link = link(page, mails, "You are invited to Ann & Co");
    page.open(&link);
    page.wait_for_text("Work with Ann & Co");
    look(page, "invitation");
    page.fill("#password", PASSWORD);
    page.follow("form button[type=submit]");
    page.wait_for("a.button[href*='/s/']");
    look(page, "subaccounts-of-member");
    page.follow("a.button[href*='/s/']");
    page.wait_for_text("Acme");
    page.open(&team);
    look(page, "team-of-member");
    assert!(!page.text().contains("ann@agency.test"), "{}", page.text());
    page.open(&format!("{}/profile", sluice.url()));
    page.follow("form[action$='/logout'] button");
}
