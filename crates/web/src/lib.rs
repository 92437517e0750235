//! The web layer: routers, the JSON API and the pages.

pub mod pages;
