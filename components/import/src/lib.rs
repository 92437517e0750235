//! Merges rows into leads, for the tenants that have some due.

glue::scheduled!(|_: &web::Config| glue::tick::stage(&stages::import::Merge));
