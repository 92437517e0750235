//! Reads uploads into rows, for the tenants that have some due.

glue::scheduled!(|_: &web::Config| glue::tick::stage(&stages::ingest::Ingest));
