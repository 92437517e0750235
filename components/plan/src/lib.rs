//! Gives due requests to profiles, for the tenants that have some due.

glue::scheduled!(|_: &web::Config| glue::tick::stage(&stages::plan::Plan));
