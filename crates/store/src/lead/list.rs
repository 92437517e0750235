//! Lists leads: whom a filter means, in some order, page by page and both ways.

use domain::filter::{Filter, Op};
use domain::lead::Field;

use domain::search::{query as beginnings, words};

use super::{COLUMNS, Lead, from_row, listed_ids};
use crate::filter::compile;
use crate::port::{Db, Engine, Result, Row, Value, one};
use crate::search::{Fresh, expression};

/// What to list.
#[derive(Debug, Clone)]
pub struct Query {
    /// Who; everybody when it is an empty `and`.
    pub filter: Filter,
    /// Words; each begins a word of the lead.
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

/// What a list is sorted by. All but the first come from the index: a new lead is in them when that has taken it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// When they became leads: that is the order of their numbers.
    #[default]
    Created,
    /// When they were changed last.
    Updated,
    /// The family name, then the given name.
    Name,
    /// The address.
    Email,
}

impl By {
    /// The column of `search_order o`, or of the lead.
    fn column(self) -> &'static str {
        match self {
            By::Created => "l.id",
            By::Updated => "o.updated_at",
            By::Name => "o.name",
            By::Email => "o.email",
        }
    }
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
            "updated" => By::Updated,
            "name" => By::Name,
            "email" => By::Email,
            _ => return None,
        };
        Some(Sort { by, ascending })
    }
}

/// What a lead is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A number or a time.
    Number(i64),
    /// A folded text.
    Text(String),
}

impl From<Key> for Value {
    fn from(key: Key) -> Value {
        match key {
            Key::Number(number) => number.into(),
            Key::Text(text) => text.into(),
        }
    }
}

/// A place in a list, between two leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The lead that the place is beside.
    pub id: i64,
    /// What that lead is sorted by.
    pub key: Key,
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
    page(db, &columns, query, from_row)
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
    page(db, &columns, query, read)
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
) -> Result<Listed<T>> {
    let back = query.from.as_ref().is_some_and(|c| c.back);
    let descending = query.sort.ascending == back;
    let mut items = Vec::new();
    for source in sources(db, query)? {
        let (text, params) = select(db, columns, query, source, descending);
        for row in db.query(&text, &params)? {
            let key = match row.0.last() {
                Some(Value::Text(text)) => Key::Text(text.clone()),
                Some(Value::Integer(number)) => Key::Number(*number),
                _ => Key::Number(0),
            };
            items.push(((key, row.int(0)), read(row)));
        }
    }
    items.sort_by(|(a, _), (b, _)| if descending { b.cmp(a) } else { a.cmp(b) });
    let more = items.len() as i64 > query.limit;
    items.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
    if back {
        items.reverse();
    }
    let cursor = |place: Option<&((Key, i64), T)>, back| {
        let ((key, id), _) = place?;
        let (id, key) = (*id, key.clone());
        Some(Cursor { id, key, back })
    };
    Ok(Listed {
        next: cursor(items.last(), false).filter(|_| back || more),
        previous: cursor(items.first(), true).filter(|_| query.from.is_some() && (more || !back)),
        items: items.into_iter().map(|(_, item)| item).collect(),
    })
}

fn select(
    db: &dyn Db,
    columns: &str,
    query: &Query,
    source: Source,
    descending: bool,
) -> (String, Vec<Value>) {
    let (than, order) = match descending {
        true => ("<", "desc"),
        false => (">", "asc"),
    };
    let key = match query.sort.by {
        By::Created => source.id,
        by => by.column(),
    };
    let mut params = source.params;
    let condition = compile(&query.conditions(), params.len() + 1, db.engine());
    params.extend(condition.params);
    let mut conditions = condition.sql;
    if let Some(email) = &query.email {
        params.push(email.into());
        conditions.push_str(&format!(
            " and l.id in (select lead_id from lead_key where kind = 'email' and value = ?{})",
            params.len()
        ));
    }
    if let Some(cursor) = &query.from {
        params.push(cursor.id.into());
        let p = params.len();
        conditions.push_str(&match query.sort.by {
            By::Created => format!(" and {key} {than} ?{p}"),
            _ => {
                params.push(cursor.key.clone().into());
                format!(" and ({key}, l.id) {than} (?{}, ?{p})", p + 1)
            }
        });
    }
    params.push((query.limit + 1).into());
    let limit = params.len();
    let order = match query.sort.by {
        By::Created => format!("{key} {order}"),
        _ => format!("{key} {order}, l.id {order}"),
    };
    (
        format!(
            "select {columns}, {key} from {} where {conditions} order by {order} limit ?{limit}",
            source.sql
        ),
        params,
    )
}

/// What is read, as `lead l` and what it is found by.
struct Source {
    sql: String,
    params: Vec<Value>,
    /// The column that has the lead's number, in whose order the rows come by themselves.
    id: &'static str,
}

/// The leads of a search are in one place; in two where the index is asked: what it does not know yet is the other.
fn sources(db: &dyn Db, query: &Query) -> Result<Vec<Source>> {
    let source = |ids: Option<&Candidates>| {
        let key = query.sort.by != By::Created;
        Source::of(db.engine(), ids, key)
    };
    let filter = query.conditions();
    let fresh = Fresh::of(db)?;
    if let Some(q) = query.q.as_deref().filter(|q| !q.trim().is_empty()) {
        let asked = beginnings(q);
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let exact = if fresh.all {
            exact_words(&filter)
        } else {
            Vec::new()
        };
        let mut found = by_words(db.engine(), &exact, &asked, fresh.from());
        found.in_order &= found.up_to(db, FEW + 1)? > FEW;
        let fresh = by_numbers(db.engine(), fresh.fitting(db, &asked)?);
        return Ok(vec![source(Some(&found)), source(Some(&fresh))]);
    }
    let exact = if fresh.all {
        exact_words(&filter)
    } else {
        Vec::new()
    };
    let found = (!exact.is_empty()).then(|| by_words(db.engine(), &exact, &[], fresh.from()));
    let best = best(db, &filter, query.email.as_deref(), found)?;
    // Many leads come in the order of their numbers: another order has an index of its own, which meets many of them soon.
    let best = best.filter(|best| !best.in_order || query.sort.by == By::Created);
    Ok(match best {
        Some(best) if best.indexed => {
            let fresh = by_numbers(db.engine(), fresh.ids);
            vec![source(Some(&best)), source(Some(&fresh))]
        }
        best => vec![source(best.as_ref())],
    })
}

impl Source {
    fn of(engine: Engine, ids: Option<&Candidates>, sorted: bool) -> Source {
        let cross = match engine {
            // As it stands: the order of the joins is the order of the list.
            Engine::Sqlite => "cross join",
            Engine::Postgres => "join",
        };
        let (mut sql, mut id) = match ids {
            None if sorted => (
                format!("search_order o {cross} lead l on l.id = o.lead_id"),
                "l.id",
            ),
            None => ("lead l".to_owned(), "l.id"),
            Some(ids) => {
                let found = match ids.in_order {
                    true => ids.sql(1),
                    false => format!("select distinct lead_id from ({}) c", ids.sql(1)),
                };
                let id = if ids.in_order { "few.lead_id" } else { "l.id" };
                (
                    format!("({found}) few {cross} lead l on l.id = few.lead_id"),
                    id,
                )
            }
        };
        if sorted && ids.is_some() {
            sql.push_str(" join search_order o on o.lead_id = l.id");
            id = "l.id";
        }
        Source {
            sql,
            id,
            params: ids.map(|ids| ids.param.clone()).into_iter().collect(),
        }
    }
}

/// So many leads are looked at one by one; of more, those that come first in the list are looked at first.
const FEW: i64 = 10_000;

/// A query for the numbers of all leads for which a condition holds, with its one parameter.
struct Candidates {
    sql: String,
    param: Value,
    /// Whether an index gives them in the order of their numbers.
    in_order: bool,
    /// Whether the index of words gives them, which may not know all leads.
    indexed: bool,
}

impl Candidates {
    fn new(sql: impl Into<String>, param: impl Into<Value>) -> Candidates {
        Candidates {
            sql: sql.into(),
            param: param.into(),
            in_order: false,
            indexed: false,
        }
    }

    fn sql(&self, p: usize) -> String {
        self.sql.replace("?_", &format!("?{p}"))
    }

    /// How many there are, counted no further than `most`.
    fn up_to(&self, db: &dyn Db, most: i64) -> Result<i64> {
        let text = format!("select count(*) from ({} limit {most}) c", self.sql(1));
        Ok(one(db, &text, std::slice::from_ref(&self.param))?.map_or(0, |r| r.int(0)))
    }
}

/// By what leads are found best. A list of few candidates is read whole and sorted; any other is read in its order until
/// the page is full.
fn best(
    db: &dyn Db,
    filter: &Filter,
    email: Option<&str>,
    words: Option<Candidates>,
) -> Result<Option<Candidates>> {
    let (mut fewest, mut in_order): (Option<(i64, Candidates)>, Option<Candidates>) = (None, None);
    let conditions = filter.conjuncts().into_iter().filter_map(candidates);
    // Of those that are in order the last counts: the words narrow more than a tag.
    for mut candidates in conditions.chain(email.map(by_address)).chain(words) {
        let n = candidates.up_to(db, FEW + 1)?;
        if n <= FEW && fewest.as_ref().is_none_or(|(least, _)| n < *least) {
            candidates.in_order = false;
            fewest = Some((n, candidates));
        } else if n > FEW && candidates.in_order {
            in_order = Some(candidates);
        }
    }
    Ok(fewest.map(|(_, few)| few).or(in_order))
}

/// The leads that a condition can be true for, where an index knows them.
fn candidates(condition: &Filter) -> Option<Candidates> {
    Some(match condition {
        Filter::Tag(tag) => Candidates {
            in_order: true,
            ..Candidates::new(
                "select lead_id from lead_tag where tag_id = (select id from tag where folded = ?_)",
                tag.trim().to_lowercase(),
            )
        },
        Filter::Activity(activity) => Candidates::new(
            "select e.lead_id from event e where e.kind = ?_ \
             and e.kind not in ('lead_created', 'tag_added') and e.lead_id is not null",
            activity.what.event(),
        ),
        Filter::Import(id) => Candidates::new(
            "select lead_id from import_row where import_id = ?_ and lead_id is not null \
             union all select l.id as lead_id from import_batch b \
             join lead l on l.id >= b.first_lead and l.id <= b.last_lead where b.import_id = ?_",
            *id,
        ),
        Filter::Field(c) if c.op == Op::Eq && c.name == Field::Email.name() => {
            by_address(&domain::address::normalize(&c.value).ok()?)
        }
        _ => return None,
    })
}

fn by_address(address: &str) -> Candidates {
    let text = "select lead_id from lead_key where kind = 'email' and value = ?_";
    Candidates::new(text, address)
}

/// The words that every lead has that a filter means: those of the values that fields must be the same as.
fn exact_words(filter: &Filter) -> Vec<String> {
    let conditions = filter.conjuncts().into_iter();
    let values = conditions.filter_map(|condition| match condition {
        Filter::Field(c) if c.op == Op::Eq => Some(c.value.as_str()),
        _ => None,
    });
    let mut words: Vec<String> = values.flat_map(words).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// What the index of words knows, but for leads that changed since and are looked at themselves: those from a number on.
fn by_words(engine: Engine, exact: &[String], beginnings: &[String], from: i64) -> Candidates {
    let (id, matches) = match engine {
        Engine::Sqlite => ("w.rowid", "search_word match ?_"),
        Engine::Postgres => ("w.lead_id", "w.words @@ cast(?_ as tsquery)"),
    };
    let text = format!(
        "select {id} as lead_id from search_word w where {matches} \
         and not exists (select 1 from search_stale s where s.lead_id = {id} and s.lead_id >= {from})"
    );
    Candidates {
        in_order: true,
        indexed: true,
        ..Candidates::new(text, expression(engine, exact, beginnings))
    }
}

fn by_numbers(engine: Engine, numbers: Vec<i64>) -> Candidates {
    let text = listed_ids(engine, 0).replace("?0", "?_");
    Candidates::new(text, serde_json::to_string(&numbers).unwrap_or_default())
}

/// How many leads fit, as far as that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// So many.
    pub n: i64,
    /// There may be more.
    pub or_more: bool,
}

/// Leads that are looked at to be counted.
const COUNTED: i64 = 10_000;

/// Counts the leads that fit, up to 10,000 of them, and looks at no more than 10,000 candidates for it. Without
/// conditions the number is known.
pub fn count_fitting(db: &dyn Db, query: &Query) -> Result<Count> {
    let unlimited = query.filter == Filter::And(Vec::new())
        && query.tag.is_none()
        && query.email.is_none()
        && query.q.as_deref().is_none_or(|q| q.trim().is_empty());
    if unlimited {
        let n = super::count(db)?;
        return Ok(Count { n, or_more: false });
    }
    let by_number = Query {
        sort: Sort::default(),
        ..query.clone()
    };
    let mut count = Count {
        n: 0,
        or_more: false,
    };
    for source in sources(db, &by_number)? {
        let (n, seen) = count_in(db, query, source)?;
        count.n += n;
        count.or_more |= seen > COUNTED;
    }
    count.n = count.n.min(COUNTED);
    let asks_words = query.q.as_deref().is_some_and(|q| !q.trim().is_empty());
    count.or_more |= asks_words && !Fresh::of(db)?.all;
    Ok(count)
}

/// How many of the first candidates fit, and how many candidates there are.
fn count_in(db: &dyn Db, query: &Query, source: Source) -> Result<(i64, i64)> {
    let mut params = source.params;
    let condition = compile(&query.conditions(), params.len() + 1, db.engine());
    params.extend(condition.params);
    let mut conditions = condition.sql;
    if let Some(email) = &query.email {
        params.push(email.into());
        conditions.push_str(&format!(
            " and l.id in (select lead_id from lead_key where kind = 'email' and value = ?{})",
            params.len()
        ));
    }
    let text = format!(
        "select coalesce(sum(case when {conditions} then 1 else 0 end), 0), count(*) \
         from (select l.* from {} order by {} desc limit {}) l",
        source.sql,
        source.id,
        COUNTED + 1
    );
    Ok(one(db, &text, &params)?.map_or((0, 0), |r| (r.int(0), r.int(1))))
}
