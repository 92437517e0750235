//! The mapping of a file's columns: what is proposed, what a person chose, and on.

use domain::lead::{Field as LeadField, Target, data_name};
use domain::mapping::{self as rules, Constant as Value, Mode, Options};
use domain::normal;
use domain::preview::Look;
use store::import::Import;
use store::tag;

use crate::http::{Answer, Problem, Request, Response};
use crate::input;
use crate::pages::form::{Form, Refusal};
use crate::pages::mapping::{Column, Constant, Mapping};
use crate::pages::{Choice, Field, Page};
use crate::slave::Scope;
use crate::slave::import::find;
use crate::slave::mapping::{self as api, Decided};

/// Constants that the page has room for.
const CONSTANTS: usize = 3;
/// Characters of a cell that are shown.
const CELL: usize = 80;

/// A target as the value of a choice, and the custom field's name.
fn chosen(target: Option<&Target>, header: &str) -> (String, String) {
    match target {
        None => (String::new(), data_name(header)),
        Some(Target::FullName) => ("full_name".to_owned(), String::new()),
        Some(Target::Field(field)) => (field.name().to_owned(), String::new()),
        Some(Target::Data(name)) => ("data".to_owned(), name.clone()),
    }
}

/// A choice and a name as a target; none leaves the column out.
fn target(choice: &str, custom: &str) -> Option<Target> {
    match choice {
        "full_name" => Some(Target::FullName),
        "data" => Some(Target::Data(data_name(custom))),
        name => LeadField::from_name(name).map(Target::Field),
    }
}

fn choices() -> Vec<Choice> {
    let built_in = LeadField::ALL.map(|f| Choice::new(f.name(), super::lead::label(f)));
    [Choice::new("", "nowhere: leave it out")]
        .into_iter()
        .chain(built_in)
        .chain([
            Choice::new("full_name", "First and last name"),
            Choice::new("data", "Custom field"),
        ])
        .collect()
}

fn clipped(cell: &str) -> String {
    cell.chars().take(CELL).collect()
}

/// The page as the file proposes it.
fn proposed(
    scope: &Scope<'_>,
    page: Page,
    import: &Import,
    look: &Look,
    options: &Options,
) -> Result<Mapping, Problem> {
    let column = |(i, c): (usize, &domain::table::Column)| {
        let (target, custom) = chosen(c.target.as_ref(), &c.header);
        Column {
            header: c.header.clone(),
            samples: look.samples(i).into_iter().map(clipped).collect(),
            target,
            custom,
            error: None,
        }
    };
    let cells = |row: &Vec<String>| row.iter().map(|c| clipped(c)).collect();
    let mode = match options.mode {
        Mode::Both => "both",
        Mode::Create => "create",
        Mode::Update => "update",
    };
    Ok(Mapping {
        page,
        error: None,
        id: import.id,
        name: import.name.clone(),
        header: look.dialect.has_header,
        delimiter: match look.dialect.delimiter {
            b'\t' => "tab".to_owned(),
            other => char::from(other).to_string(),
        },
        encoding: options.encoding.clone().unwrap_or_default(),
        found: look.charset.name().to_owned(),
        columns: look.columns.iter().enumerate().map(column).collect(),
        targets: choices(),
        rows: look.rows.iter().map(cells).collect(),
        constants: constants(options),
        mode: mode.to_owned(),
        tag: Field::of(import.tag.clone().unwrap_or_default()),
        tags: tag::names(&*scope.db)?,
        phone_country: options.phone_country.clone().unwrap_or_default(),
        countries: normal::phone_countries().collect(),
    })
}

fn constants(options: &Options) -> Vec<Constant> {
    let constant = |c: &Value| {
        let (target, custom) = chosen(Some(&c.target), "");
        Constant {
            target,
            custom,
            value: c.value.clone(),
            error: None,
        }
    };
    let mut constants: Vec<_> = options.constants.iter().map(constant).collect();
    constants.resize_with(constants.len().max(CONSTANTS), Constant::default);
    constants
}

/// `GET imports/{id}/mapping`
pub fn form(scope: &Scope<'_>, page: Page, request: &Request, id: &str) -> Answer {
    let import = find(scope, id)?;
    if import.status != "waiting" {
        return Ok(Response::see_other(&format!("{}/imports/{id}", page.base)));
    }
    let options = api::asked(&import, request)?;
    let look = api::look(scope, &import, &options)?;
    let view = proposed(scope, page, &import, &look, &options)?;
    Ok(Response::html(200, view.render()))
}

/// `POST imports/{id}/mapping`
pub fn map(scope: &Scope<'_>, page: Page, request: &Request, id: &str) -> Answer {
    let form = Form::of(request);
    let import = find(scope, id)?;
    if import.status != "waiting" {
        return Ok(Response::see_other(&format!("{}/imports/{id}", page.base)));
    }
    let problem = match read(&import, &form).and_then(|decided| api::start(scope, &import, decided))
    {
        Ok(()) => return Ok(Response::see_other(&format!("{}/imports/{id}", page.base))),
        Err(problem) => problem,
    };
    let mut options = import.options.clone();
    for name in ["header", "delimiter", "encoding"] {
        api::set(&mut options, name, form.get(name))?;
    }
    let look = api::look(scope, &import, &options)?;
    let view = proposed(scope, page, &import, &look, &options)?;
    Ok(refused(view, &form, problem))
}

/// The form as the API takes it.
fn read(import: &Import, form: &Form) -> Result<Decided, Problem> {
    let mut options = import.options.clone();
    options.phone_country = None;
    for name in ["header", "delimiter", "encoding", "mode", "phone_country"] {
        api::set(&mut options, name, form.get(name))?;
    }
    options.constants = (0..rules::CONSTANTS_MAX)
        .filter_map(|i| {
            Some(Value {
                target: target(
                    form.get(&format!("constant_{i}")),
                    form.get(&format!("constant_custom_{i}")),
                )?,
                value: form.get(&format!("value_{i}")).to_owned(),
            })
        })
        .collect();
    let count = form.columns();
    let targets = (0..count).map(|i| {
        target(
            form.get(&format!("target_{i}")),
            form.get(&format!("custom_{i}")),
        )
    });
    Ok(Decided {
        options,
        targets: (count > 0).then(|| targets.collect()),
        tag: form
            .filled("tag")
            .map(|t| input::name("tag", t))
            .transpose()?,
    })
}

/// The page with what was chosen, and what is wrong with it.
fn refused(mut view: Mapping, form: &Form, problem: Problem) -> Response {
    let status = problem.status;
    let mut refusal = Refusal::of(problem);
    for (i, column) in view.columns.iter_mut().enumerate() {
        column.target = form.get(&format!("target_{i}")).to_owned();
        column.custom = form.get(&format!("custom_{i}")).to_owned();
        column.error = refusal.take(&format!("columns[{i}].target"));
    }
    let mut place = 0;
    for (i, constant) in view.constants.iter_mut().enumerate() {
        constant.target = form.get(&format!("constant_{i}")).to_owned();
        constant.custom = form.get(&format!("constant_custom_{i}")).to_owned();
        constant.value = form.get(&format!("value_{i}")).to_owned();
        if target(&constant.target, &constant.custom).is_some() {
            let wrong = refusal.take(&format!("constants[{place}].target"));
            constant.error = wrong.or_else(|| refusal.take(&format!("constants[{place}].value")));
            place += 1;
        }
    }
    view.mode = form.get("mode").to_owned();
    view.phone_country = form.get("phone_country").to_owned();
    view.tag = refusal.field("tag", form.get("tag"));
    view.error = refusal.rest();
    Response::html(status, view.render())
}

/// `POST imports/{id}/cancellation`
pub fn cancel(scope: &Scope<'_>, page: &Page, id: &str) -> Answer {
    let ended = api::cancel(scope, id);
    match ended {
        // It ended by itself meanwhile: the page says how.
        Err(problem) if problem.status != 409 => Err(problem),
        _ => Ok(Response::see_other(&format!("{}/imports/{id}", page.base))),
    }
}
