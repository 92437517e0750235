//! The settings of a sub-account.

use domain::brand::Brand;
use domain::colour::Colour;
use store::{custom_domain, setting};

use crate::http::{Answer, Problem, Request, Response};
use crate::pages::form::{Form, Refusal};
use crate::pages::settings::Settings;
use crate::pages::{Field, Page};
use crate::slave::custom_domain::{self as domains, NewDomain, View};
use crate::slave::{Scope, settings as api};

fn view(scope: &Scope<'_>, page: Page) -> Result<Settings, Problem> {
    let look = setting::look(&*scope.db)?;
    let brand = look.brand;
    let text = |value: Option<String>| Field::of(value.unwrap_or_default());
    let colour = |value: Option<Colour>| Field::of(value.map(String::from).unwrap_or_default());
    let logo = look
        .logo_version
        .map(|v| format!("{}/logo?v={v}", page.base));
    let all = custom_domain::of_tenant(&*scope.control, &scope.tenant.id)?;
    Ok(Settings {
        page,
        error: None,
        name: text(brand.name),
        accent: colour(brand.accent),
        rail: colour(brand.rail),
        sender_name: text(brand.sender_name),
        reply_to: text(brand.reply_to),
        postal_address: text(brand.postal_address),
        logo,
        file_error: None,
        domains: all.into_iter().map(View::of).collect(),
        domain: Field::default(),
    })
}

pub fn show(scope: &Scope<'_>, page: Page) -> Answer {
    Ok(Response::html(200, view(scope, page)?.render()))
}

fn home(page: &Page) -> Response {
    Response::see_other(&format!("{}/settings", page.base))
}

fn brand(form: &Form) -> Result<Brand, Problem> {
    let text = |name: &str| form.filled(name).map(str::to_owned);
    let colour = |name: &str| {
        let colour = text(name).map(Colour::try_from).transpose();
        colour.map_err(|e| Problem::invalid(name, e.to_string()))
    };
    Ok(Brand {
        name: text("name"),
        accent: colour("accent")?,
        rail: colour("rail")?,
        sender_name: text("sender_name"),
        reply_to: text("reply_to"),
        postal_address: text("postal_address"),
    })
}

pub fn save_brand(scope: &Scope<'_>, page: Page, request: &Request) -> Answer {
    let form = Form::of(request);
    let Err(problem) = brand(&form).and_then(|brand| api::put_brand(scope, &brand)) else {
        return Ok(home(&page));
    };
    let status = problem.status;
    let mut refusal = Refusal::of(problem);
    let mut field = |name: &str| refusal.field(name, form.get(name));
    let view = Settings {
        name: field("name"),
        accent: field("accent"),
        rail: field("rail"),
        sender_name: field("sender_name"),
        reply_to: field("reply_to"),
        postal_address: field("postal_address"),
        error: refusal.rest(),
        ..view(scope, page)?
    };
    Ok(Response::html(status, view.render()))
}

pub fn save_logo(scope: &Scope<'_>, page: Page, request: &Request) -> Answer {
    let saved = request
        .file("file")
        .and_then(|bytes| api::put_logo(scope, &bytes));
    let Err(problem) = saved else {
        return Ok(home(&page));
    };
    let view = Settings {
        file_error: Some(problem.detail.clone()),
        ..view(scope, page)?
    };
    Ok(Response::html(problem.status, view.render()))
}

pub fn remove_logo(scope: &Scope<'_>, page: Page) -> Answer {
    api::delete_logo(scope)?;
    Ok(home(&page))
}

pub fn add_domain(scope: &Scope<'_>, page: Page, request: &Request) -> Answer {
    let name = Form::of(request).get("domain").to_owned();
    let Err(problem) = domains::create(scope, &NewDomain { name: name.clone() }) else {
        return Ok(home(&page));
    };
    let status = problem.status;
    let mut refusal = Refusal::of(problem);
    let mut field = refusal.field("name", &name);
    field.error = field.error.or(refusal.rest());
    let view = Settings {
        domain: field,
        ..view(scope, page)?
    };
    Ok(Response::html(status, view.render()))
}

pub fn remove_domain(scope: &Scope<'_>, page: Page, name: &str) -> Answer {
    domains::delete(scope, name)?;
    Ok(home(&page))
}
