//! Rolls events up into the timeline, for the tenants that have some due.

glue::scheduled!(|_: &web::Config| glue::tick::stage(&stages::timeline::Timeline));
