//! Who somebody is and what they may do. This is the one policy: every door asks [`Identity::may`].
//!
//! An account has people with a [`Role`] each. Owners and admins work in all of its sub-accounts; members and clients
//! in those that were granted to them, with the role of the grant. A key has the rights of the person who made it, cut
//! down to its scopes and, when it names some, to its sub-accounts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What somebody is in an account, or in one sub-account by a grant. The greater one may do all that a lesser one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks at a sub-account and answers people who wrote.
    Client,
    /// Works in a sub-account.
    Member,
    /// Also runs the account: people, keys, sub-accounts and their settings.
    Admin,
    /// Also decides who else owns the account.
    Owner,
}

/// What can be done. As a scope of a key it has the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Look at what a sub-account holds.
    Read,
    /// Answer people who wrote.
    Reply,
    /// Change leads, imports, rules, profiles, requests.
    Write,
    /// Ask for sub-accounts, change their settings, suspend, move, archive and delete them.
    Manage,
    /// Change people, grants and keys of the account.
    Administer,
    /// Make somebody an owner or end their ownership.
    Own,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Role; 4] = [Role::Client, Role::Member, Role::Admin, Role::Owner];

    /// The word for it in the API and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Member => "member",
            Role::Admin => "admin",
            Role::Owner => "owner",
        }
    }

    /// The role of that name.
    pub fn of(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether this role may do something where it holds.
    pub fn may(self, action: Action) -> bool {
        match action {
            Action::Read | Action::Reply => true,
            Action::Write => self >= Role::Member,
            Action::Manage | Action::Administer => self >= Role::Admin,
            Action::Own => self == Role::Owner,
        }
    }
}

impl Action {
    /// All actions.
    pub const ALL: [Action; 6] = [
        Action::Read,
        Action::Reply,
        Action::Write,
        Action::Manage,
        Action::Administer,
        Action::Own,
    ];

    /// The word for it in the API.
    pub fn name(self) -> &'static str {
        match self {
            Action::Read => "read",
            Action::Reply => "reply",
            Action::Write => "write",
            Action::Manage => "manage",
            Action::Administer => "administer",
            Action::Own => "own",
        }
    }

    /// The action of that name.
    pub fn of(name: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// What cuts a key down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// What it may do at most.
    pub scopes: BTreeSet<Action>,
    /// Where it may do it at most; everywhere when none is named.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub subaccounts: BTreeSet<String>,
}

/// Somebody who is signed in, by session or by key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The account they belong to (UUID).
    pub account_id: String,
    /// The person (UUID).
    pub user_id: String,
    /// Their address.
    pub email: String,
    /// What they are in the account.
    pub role: Role,
    /// What they are in single sub-accounts (UUID); owners and admins need none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub grants: BTreeMap<String, Role>,
    /// What the key they came with is limited to; none for a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// The name of their session (not its token), when they came with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

impl Identity {
    /// Whether they may do something to the account itself.
    pub fn may(&self, action: Action) -> bool {
        let whole = self
            .limits
            .as_ref()
            .is_none_or(|l| l.subaccounts.is_empty());
        self.role.may(action) && self.in_scope(action) && whole
    }

    /// What they are in a sub-account of their account; none when they may not know of it.
    pub fn role_in(&self, subaccount: &str) -> Option<Role> {
        let reaches = |l: &Limits| l.subaccounts.is_empty() || l.subaccounts.contains(subaccount);
        if !self.limits.as_ref().is_none_or(reaches) {
            return None;
        }
        match self.role {
            Role::Owner | Role::Admin => Some(self.role),
            // A grant never makes more of somebody than a member.
            Role::Member | Role::Client => {
                self.grants.get(subaccount).map(|g| (*g).min(Role::Member))
            }
        }
    }

    /// Whether they may do something in a sub-account of their account.
    pub fn may_in(&self, subaccount: &str, action: Action) -> bool {
        self.in_scope(action)
            && self
                .role_in(subaccount)
                .is_some_and(|role| role.may(action))
    }

    fn in_scope(&self, action: Action) -> bool {
        self.limits
            .as_ref()
            .is_none_or(|l| l.scopes.contains(&action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(role: Role, grants: &[(&str, Role)]) -> Identity {
        Identity {
            account_id: "a".into(),
            user_id: "u".into(),
            email: "u@example.com".into(),
            role,
            grants: grants
                .iter()
                .map(|(id, role)| ((*id).to_owned(), *role))
                .collect(),
            limits: None,
            session_id: None,
        }
    }

    #[test]
    fn roles_grow() {
        use Action::{Administer, Manage, Own, Read, Reply, Write};
        let expected = [
            (Role::Client, &[Read, Reply][..]),
            (Role::Member, &[Read, Reply, Write]),
            (Role::Admin, &[Read, Reply, Write, Manage, Administer]),
            (Role::Owner, &[Read, Reply, Write, Manage, Administer, Own]),
        ];
        for (role, actions) in expected {
            let may: Vec<_> = Action::ALL.into_iter().filter(|a| role.may(*a)).collect();
            assert_eq!(may, actions, "{role:?}");
        }
    }

    #[test]
    fn members_and_clients_work_where_they_were_let_in() {
        for role in [Role::Member, Role::Client] {
            let who = person(
                role,
                &[
                    ("one", Role::Member),
                    ("two", Role::Client),
                    ("three", Role::Owner),
                ],
            );
            assert!(who.may_in("one", Action::Write));
            assert!(!who.may_in("two", Action::Write) && who.may_in("two", Action::Reply));
            assert!(
                !who.may_in("three", Action::Manage),
                "a grant makes no admin"
            );
            assert_eq!(who.role_in("four"), None);
        }
        assert!(person(Role::Admin, &[]).may_in("four", Action::Manage));
        assert!(!person(Role::Admin, &[]).may(Action::Own));
    }

    #[test]
    fn a_key_is_never_more_than_its_owner() {
        let limits = |scopes: &[Action], subaccounts: &[&str]| Limits {
            scopes: scopes.iter().copied().collect(),
            subaccounts: subaccounts.iter().map(|s| (*s).to_owned()).collect(),
        };
        let mut who = person(Role::Client, &[("one", Role::Client)]);
        who.limits = Some(limits(&Action::ALL, &[]));
        assert!(!who.may_in("one", Action::Write) && who.may_in("one", Action::Read));
        who = person(Role::Owner, &[]);
        who.limits = Some(limits(&[Action::Read, Action::Manage], &["one"]));
        assert!(who.may_in("one", Action::Read) && !who.may_in("one", Action::Write));
        assert!(!who.may_in("two", Action::Read), "another sub-account");
        assert!(
            !who.may(Action::Manage),
            "the account is more than the sub-account of the key"
        );
    }
}
