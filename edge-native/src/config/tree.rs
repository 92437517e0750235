//! A TOML document as a tree whose every value knows its line, so that each fault names its place
//! and reading goes on after the first one.

use super::fault::Faults;
use std::collections::BTreeSet;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The document: its text (for line numbers) and the name that faults call it by.
#[derive(Clone, Copy)]
pub struct Document<'d> {
    name: &'d str,
    text: &'d str,
}

impl<'d> Document<'d> {
    /// `name` is how faults call the file, usually its path as the user gave it.
    pub fn new(name: &'d str, text: &'d str) -> Self {
        Self { name, text }
    }

    /// Parses the text; syntax errors become faults and what could be read is returned.
    pub fn parse(self, faults: &mut Faults) -> Spanned<DeTable<'d>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            faults.add(self.place(at), error.message(), "correct the TOML syntax");
        }
        table
    }

    /// `file:line` of a byte offset.
    pub fn place(self, offset: usize) -> String {
        let upto = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = 1 + upto.iter().filter(|byte| **byte == b'\n').count();
        format!("{}:{line}", self.name)
    }
}

/// One table being read: asks for keys by type and at the end reports those nobody asked for.
pub struct Table<'t, 'd> {
    document: Document<'d>,
    table: &'t DeTable<'d>,
    title: String,
    start: usize,
    seen: BTreeSet<&'static str>,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// `file:line`.
    pub place: String,
}

impl<'t, 'd> Table<'t, 'd> {
    /// `title` is how faults call the table: `[component.slave]`.
    pub fn new(
        document: Document<'d>,
        table: &'t DeTable<'d>,
        title: impl Into<String>,
        start: usize,
    ) -> Self {
        Self {
            document,
            table,
            title: title.into(),
            start,
            seen: BTreeSet::new(),
        }
    }

    /// `file:line` of the table itself.
    pub fn place(&self) -> String {
        self.document.place(self.start)
    }

    /// How faults call this table.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The raw value under `key`, marked as known.
    pub fn value(&mut self, key: &'static str) -> Option<(&'t DeValue<'d>, String)> {
        self.seen.insert(key);
        let value = self.table.get(key)?;
        Some((value.get_ref(), self.document.place(value.span().start)))
    }

    /// A string, if the key is there.
    pub fn string(&mut self, key: &'static str, faults: &mut Faults) -> Option<Placed<String>> {
        let (value, place) = self.value(key)?;
        match value {
            DeValue::String(text) => Some(Placed {
                value: text.to_string(),
                place,
            }),
            _ => {
                self.wrong_type(key, "a string", &place, faults);
                None
            }
        }
    }

    /// A string that must be there.
    pub fn required_string(
        &mut self,
        key: &'static str,
        faults: &mut Faults,
    ) -> Option<Placed<String>> {
        if !self.table.contains_key(key) {
            self.seen.insert(key);
            let what = format!("{} has no `{key}`", self.title);
            faults.add(self.place(), what, format!("add `{key} = \"...\"`"));
            return None;
        }
        self.string(key, faults)
    }

    /// A boolean; absent means false.
    pub fn boolean(&mut self, key: &'static str, faults: &mut Faults) -> bool {
        match self.value(key) {
            None => false,
            Some((DeValue::Boolean(value), _)) => *value,
            Some((_, place)) => {
                self.wrong_type(key, "true or false", &place, faults);
                false
            }
        }
    }

    /// A list of strings; absent means empty.
    pub fn strings(&mut self, key: &'static str, faults: &mut Faults) -> Vec<Placed<String>> {
        let Some((value, place)) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value else {
            self.wrong_type(key, "a list of strings", &place, faults);
            return Vec::new();
        };
        let mut strings = Vec::new();
        for item in items.iter() {
            let place = self.document.place(item.span().start);
            match item.get_ref() {
                DeValue::String(text) => strings.push(Placed {
                    value: text.to_string(),
                    place,
                }),
                _ => self.wrong_type(key, "a list of strings", &place, faults),
            }
        }
        strings
    }

    /// A table of strings, in the order of the keys; absent means empty.
    pub fn string_map(
        &mut self,
        key: &'static str,
        faults: &mut Faults,
    ) -> Vec<(String, Placed<String>)> {
        let mut entries = Vec::new();
        for (name, value, place) in self.entries(key, faults) {
            match value {
                DeValue::String(text) => {
                    entries.push((
                        name,
                        Placed {
                            value: text.to_string(),
                            place,
                        },
                    ));
                }
                _ => self.wrong_type(key, "a table of strings", &place, faults),
            }
        }
        entries
    }

    /// The tables under `key` (`[component.a]`, `[component.b]`), each ready to be read.
    pub fn tables(
        &mut self,
        key: &'static str,
        faults: &mut Faults,
    ) -> Vec<(String, Table<'t, 'd>)> {
        let prefix = self.inner_title(key);
        let document = self.document;
        let mut tables = Vec::new();
        for (name, value, place) in self.entries(key, faults) {
            match value {
                DeValue::Table(inner) => {
                    let start = self.start_of(key, &name);
                    let title = format!("[{prefix}.{name}]");
                    tables.push((name, Table::new(document, inner, title, start)));
                }
                _ => self.wrong_type(key, "a table", &place, faults),
            }
        }
        tables
    }

    /// The one table under `key`.
    pub fn table(&mut self, key: &'static str, faults: &mut Faults) -> Option<Table<'t, 'd>> {
        let title = format!("[{}]", self.inner_title(key));
        let document = self.document;
        let start = self
            .table
            .get(key)
            .map_or(self.start, |value| value.span().start);
        let (value, place) = self.value(key)?;
        match value {
            DeValue::Table(inner) => Some(Table::new(document, inner, title, start)),
            _ => {
                self.wrong_type(key, "a table", &place, faults);
                None
            }
        }
    }

    /// The list of tables under `key` (`[[trigger.http]]`).
    pub fn table_list(&mut self, key: &'static str, faults: &mut Faults) -> Vec<Table<'t, 'd>> {
        let title = format!("[[{}]]", self.inner_title(key));
        let document = self.document;
        let Some((value, place)) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value else {
            self.wrong_type(key, "a list of tables", &place, faults);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(inner) => {
                    tables.push(Table::new(
                        document,
                        inner,
                        title.clone(),
                        item.span().start,
                    ));
                }
                _ => self.wrong_type(key, "a list of tables", &place, faults),
            }
        }
        tables
    }

    /// Marks keys that mean nothing while serving (a build command, a description).
    pub fn ignore(&mut self, keys: &[&'static str]) {
        self.seen.extend(keys);
    }

    /// Reports keys of the manifest format that this host does not implement.
    pub fn unsupported(&mut self, key: &'static str, fix: &str, faults: &mut Faults) {
        if let Some((_, place)) = self.value(key) {
            let what = format!("{}: this host does not implement `{key}`", self.title);
            faults.add(place, what, fix);
        }
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self, faults: &mut Faults) {
        for (key, _) in self.table.iter() {
            let name: &str = key.get_ref();
            if !self.seen.contains(name) {
                let place = self.document.place(key.span().start);
                let what = format!("{}: unknown key `{name}`", self.title);
                faults.add(place, what, "remove it, or correct its spelling");
            }
        }
    }

    fn entries(
        &mut self,
        key: &'static str,
        faults: &mut Faults,
    ) -> Vec<(String, &'t DeValue<'d>, String)> {
        let document = self.document;
        let Some((value, place)) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Table(inner) = value else {
            self.wrong_type(key, "a table", &place, faults);
            return Vec::new();
        };
        let entry = |(name, value): (&Spanned<_>, &'t Spanned<DeValue<'d>>)| {
            let name: &std::borrow::Cow<'_, str> = name.get_ref();
            (
                name.to_string(),
                value.get_ref(),
                document.place(value.span().start),
            )
        };
        inner.iter().map(entry).collect()
    }

    fn start_of(&self, key: &str, name: &str) -> usize {
        match self.table.get(key).map(Spanned::get_ref) {
            Some(DeValue::Table(inner)) => inner.get(name).map_or(self.start, |v| v.span().start),
            _ => self.start,
        }
    }

    fn inner_title(&self, key: &str) -> String {
        let outer = self.title.trim_matches(['[', ']']);
        if outer.is_empty() {
            key.to_owned()
        } else {
            format!("{outer}.{key}")
        }
    }

    fn wrong_type(&self, key: &str, wanted: &str, place: &str, faults: &mut Faults) {
        let what = format!("{}: `{key}` is not {wanted}", self.title);
        faults.add(place, what, format!("make it {wanted}"));
    }
}
