//! Takes new and changed leads into the index that they are searched by.

glue::scheduled!(|_: &web::Config| glue::tick::stage(&stages::search::Search));
