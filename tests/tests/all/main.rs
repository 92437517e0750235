//! End-to-end scenarios, one file each. One binary, so that it links once.
//!
//! Run by `scripts/test`; some of them by `scripts/test NAME`, where NAME is a part of their names.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod allocation;
mod bad_csv;
mod bad_json;
mod components;
mod disk_full;
mod edge;
mod faults;
mod harness_itself;
mod isolation;
mod main_job;
mod never_twice;
mod nodes;
mod openapi;
mod pages;
mod people;
mod people_pages;
mod postgres;
mod smtp_faults;
mod start_stop;
mod team;
mod transfer;
mod white_label;
