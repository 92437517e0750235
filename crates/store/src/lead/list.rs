//! Lists leads: whom a filter means, in some order, page by page and both ways.

use domain::filter::{Filter, Op};
use domain::lead::Field;

use super::{COLUMNS, Lead, from_row};
use crate::filter::compile;
use crate::port::{Db, Engine, Result, Row, Value, one};

/// What to list.
#[derive(Debug, Clone)]
pub struct Query {
    /// Who; everybody when it is an empty `and`.
    pub filter: Filter,
    /// Part of a name, an address or a company.
    pub q: Option<String>,
    /// A tag's name.
    pub tag: Option<String>,
    /// An exact address, normalised.
    pub email: Option<String>,
    /// In what order.
    pub sort: Sort,
    /// Where the page begins; at the beginning when there is none.
    pub from: Option<Cursor>,
    /// At most so many.
    pub limit: i64,
}

impl Default for Query {
    fn default() -> Self {
        Query {
            filter: Filter::And(Vec::new()),
            q: None,
            tag: None,
            email: None,
            sort: Sort::default(),
            from: None,
            limit: 0,
        }
    }
}

impl Query {
    /// Everything that must hold.
    fn conditions(&self) -> Filter {
        let mut all = vec![self.filter.clone()];
        all.extend(self.tag.clone().map(Filter::Tag));
        Filter::And(all)
    }
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sort {
    /// By what.
    pub by: By,
    /// Smallest or oldest first, not last.
    pub ascending: bool,
}

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// When they became leads: that is the order of their numbers.
    #[default]
    Created,
}

impl Sort {
    /// What the API calls an order, `-` before what comes largest first.
    pub fn from_name(name: &str) -> Option<Sort> {
        let (name, ascending) = match name.strip_prefix('-') {
            Some(name) => (name, false),
            None => (name, true),
        };
        let by = match name {
            "id" | "created" => By::Created,
            _ => return None,
        };
        Some(Sort { by, ascending })
    }
}

/// A place in a list, between two leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The lead that the place is beside.
    pub id: i64,
    /// The page that ends there, not the one that begins there.
    pub back: bool,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The leads.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
    /// Where the page before ends, if there is one.
    pub previous: Option<Cursor>,
}

/// The leads of a page.
pub fn list(db: &dyn Db, query: &Query) -> Result<Vec<Lead>> {
    listed(db, query).map(|page| page.items)
}

/// A page of leads.
pub fn listed(db: &dyn Db, query: &Query) -> Result<Listed<Lead>> {
    let tags = tags(db.engine());
    let columns = format!("{COLUMNS}, l.created_at, l.updated_at, {tags}");
    page(db, &columns, query, from_row, |lead| lead.id)
}

/// A page of leads, each as its id and its JSON object. The database writes the JSON: that is several times
/// as fast as carrying a page of rows over the host boundary and writing it there.
pub fn list_json(db: &dyn Db, query: &Query) -> Result<Listed<(i64, String)>> {
    let built_in = Field::ALL
        .map(|f| format!("'{0}', l.{0}", f.name()))
        .join(", ");
    let tags = tags(db.engine());
    let (object, tags, data) = match db.engine() {
        Engine::Sqlite => ("json_object", format!("json({tags})"), "json(l.data)"),
        Engine::Postgres => (
            "json_build_object",
            format!("cast({tags} as json)"),
            "cast(l.data as json)",
        ),
    };
    let columns = format!(
        "l.id, cast({object}('id', l.id, {built_in}, 'tags', {tags}, 'data', {data}, 'created_at', l.created_at, \
         'updated_at', l.updated_at) as text)"
    );
    let read = |mut r: Row| (r.int(0), r.text(1));
    page(db, &columns, query, read, |(id, _)| *id)
}

/// The names of a lead's tags as a JSON array.
fn tags(engine: Engine) -> String {
    let array = match engine {
        Engine::Sqlite => "json_group_array(t.name)",
        Engine::Postgres => "coalesce(cast(json_agg(t.name order by x.tag_id) as text), '[]')",
    };
    format!("(select {array} from lead_tag x join tag t on t.id = x.tag_id where x.lead_id = l.id)")
}

/// Reads one lead more than asked for, so that the end is known.
fn page<T>(
    db: &dyn Db,
    columns: &str,
    query: &Query,
    read: impl Fn(Row) -> T,
    id: impl Fn(&T) -> i64,
) -> Result<Listed<T>> {
    let back = query.from.is_some_and(|c| c.back);
    let (text, params) = select(db, columns, query)?;
    let mut items: Vec<T> = db.query(&text, &params)?.into_iter().map(read).collect();
    let more = items.len() as i64 > query.limit;
    items.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
    if back {
        items.reverse();
    }
    let cursor = |item: Option<&T>, back| item.map(|i| Cursor { id: id(i), back });
    Ok(Listed {
        next: cursor(items.last(), false).filter(|_| back || more),
        previous: cursor(items.first(), true).filter(|_| query.from.is_some() && (more || !back)),
        items,
    })
}

fn select(db: &dyn Db, columns: &str, query: &Query) -> Result<(String, Vec<Value>)> {
    let filter = query.conditions();
    let descending = query.sort.ascending == query.from.is_some_and(|c| c.back);
    let (than, order) = match descending {
        true => ("<", "desc"),
        false => (">", "asc"),
    };
    let begin = match (query.from, descending) {
        (Some(cursor), _) => cursor.id,
        (None, true) => i64::MAX,
        (None, false) => i64::MIN,
    };
    let mut params: Vec<Value> = vec![begin.into(), (query.limit + 1).into()];
    let (source, id) = source(db, &filter, query.email.as_deref(), &mut params)?;
    let condition = compile(&filter, params.len() + 1, db.engine());
    params.extend(condition.params);
    let mut conditions = condition.sql;
    if let Some(email) = &query.email {
        params.push(email.into());
        conditions.push_str(&format!(
            " and l.id in (select lead_id from lead_key where kind = 'email' and value = ?{})",
            params.len()
        ));
    }
    if let Some(q) = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
        params.push(q.to_ascii_lowercase().into());
        conditions.push_str(&format!(" and {}", contains(params.len())));
    }
    Ok((
        format!(
            "select {columns} from {source} where {id} {than} ?1 and {conditions} order by {id} {order} limit ?2"
        ),
        params,
    ))
}

/// The text of parameter `p` is part of what a lead is called by.
fn contains(p: usize) -> String {
    let found = ["email", "first_name", "last_name", "company", "job_title"]
        .map(|c| format!("instr(lower(l.{c}), ?{p}) > 0"));
    let full = format!("instr(lower(l.first_name || ' ' || l.last_name), ?{p}) > 0");
    format!("({} or {full})", found.join(" or "))
}

/// So many leads are looked at one by one; of more, those that come first in the list are looked at first.
const FEW: i64 = 10_000;

/// A query for the ids of all leads for which a condition holds, with its one parameter.
struct Candidates {
    sql: &'static str,
    param: Value,
    /// Whether an index gives them in the order of the list.
    in_order: bool,
}

impl Candidates {
    fn sql(&self, p: usize) -> String {
        self.sql.replace("?_", &format!("?{p}"))
    }

    /// How many there are, counted no further than `most`.
    fn up_to(&self, db: &dyn Db, most: i64) -> Result<i64> {
        let text = format!("select count(*) from ({} limit {most}) c", self.sql(1));
        Ok(one(db, &text, std::slice::from_ref(&self.param))?.map_or(0, |r| r.int(0)))
    }
}

/// What to read, and its column that the list is in the order of. A list of few candidates is read whole and sorted;
/// any other is read in its order until the page is full.
fn source(
    db: &dyn Db,
    filter: &Filter,
    email: Option<&str>,
    params: &mut Vec<Value>,
) -> Result<(String, &'static str)> {
    let (mut fewest, mut in_order): (Option<(i64, Candidates)>, _) = (None, None);
    let conditions = filter.conjuncts().into_iter().filter_map(candidates);
    for candidates in conditions.chain(email.map(by_address)) {
        let n = candidates.up_to(db, FEW + 1)?;
        if n <= FEW && fewest.as_ref().is_none_or(|(least, _)| n < *least) {
            fewest = Some((n, candidates));
        } else if n > FEW && candidates.in_order {
            in_order.get_or_insert(candidates);
        }
    }
    let cross = match db.engine() {
        Engine::Sqlite => "cross join",
        Engine::Postgres => "join",
    };
    let join = |ids: String| format!("({ids}) few {cross} lead l on l.id = few.lead_id");
    let p = params.len() + 1;
    Ok(match (fewest, in_order) {
        (Some((_, few)), _) => {
            let sql = format!("select distinct lead_id from ({}) c", few.sql(p));
            params.push(few.param);
            (join(sql), "l.id")
        }
        (None, Some(tag)) => {
            let sql = tag.sql(p);
            params.push(tag.param);
            (join(sql), "few.lead_id")
        }
        (None, None) => ("lead l".to_owned(), "l.id"),
    })
}

/// The leads that a condition can be true for, where an index knows them.
fn candidates(condition: &Filter) -> Option<Candidates> {
    Some(match condition {
        Filter::Tag(tag) => Candidates {
            sql: "select lead_id from lead_tag where tag_id = (select id from tag where folded = ?_)",
            param: tag.trim().to_lowercase().into(),
            in_order: true,
        },
        Filter::Activity(activity) => Candidates {
            sql: "select e.lead_id from event e where e.kind = ?_ \
                  and e.kind not in ('lead_created', 'tag_added') and e.lead_id is not null",
            param: activity.what.event().into(),
            in_order: false,
        },
        Filter::Import(id) => Candidates {
            sql: "select lead_id from import_row where import_id = ?_ and lead_id is not null \
                  union all select l.id as lead_id from import_batch b \
                  join lead l on l.id >= b.first_lead and l.id <= b.last_lead where b.import_id = ?_",
            param: (*id).into(),
            in_order: false,
        },
        Filter::Field(c) if c.op == Op::Eq && c.name == Field::Email.name() => {
            by_address(&domain::address::normalize(&c.value).ok()?)
        }
        _ => return None,
    })
}

fn by_address(address: &str) -> Candidates {
    Candidates {
        sql: "select lead_id from lead_key where kind = 'email' and value = ?_",
        param: address.into(),
        in_order: false,
    }
}
