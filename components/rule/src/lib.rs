//! Matches rules against events, for the tenants that have some due.

glue::scheduled!(|_: &web::Config| glue::tick::stage(&stages::rule::Rule));
