//! The native floor that `scripts/bench` measures beside the product: the least that hyper and SQLite need for
//! the same work, without WebAssembly, accounts, keys, validation or events.
//!
//! `floor serve DB` makes a table of 100,000 leads and serves `/hello`, `/row/N` and `/leads`, printing its port;
//! `floor insert CSV DB` parses a file and inserts its rows with one prepared statement in one transaction,
//! printing the seconds.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use rusqlite::{Connection, Row};
use tests::harness::people;

const LEADS: usize = 100_000;
const COLUMNS: &str =
    "email, first_name, last_name, job_title, company, phone, country, linkedin, segment";

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", database] => serve(database),
        ["insert", csv, database] => {
            let start = Instant::now();
            insert(&std::fs::read(csv).expect("the file"), database);
            println!("{:.3}", start.elapsed().as_secs_f64());
        }
        _ => panic!("usage: floor serve DB | floor insert CSV DB"),
    }
}

fn open(database: &str) -> Connection {
    let connection = Connection::open(database).expect("a database");
    connection
        .execute_batch("pragma journal_mode = wal; pragma synchronous = normal")
        .expect("pragmas");
    connection
}

fn insert(csv: &[u8], database: &str) {
    let mut connection = open(database);
    connection
        .execute_batch(&format!("create table lead (id integer primary key, {COLUMNS}); create unique index e on lead (email)"))
        .expect("a table");
    let transaction = connection.transaction().expect("a transaction");
    let mut statement = transaction
        .prepare(&format!(
            "insert into lead ({COLUMNS}) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        ))
        .expect("a statement");
    let mut reader = csv::Reader::from_reader(csv);
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).expect("a record") {
        statement
            .execute(rusqlite::params_from_iter(&record))
            .expect("a row");
    }
    drop(statement);
    transaction.commit().expect("a commit");
}

thread_local! {
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

fn serve(database: &str) {
    insert(people("floor", LEADS).as_bytes(), database);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_io()
        .build()
        .expect("a runtime");
    let database: &'static str = Box::leak(database.to_owned().into_boxed_str());
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        println!("{}", listener.local_addr().expect("an address").port());
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("an option");
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| async move {
                    Ok::<_, Infallible>(answer(request.uri().path(), database))
                });
                let io = hyper_util::rt::TokioIo::new(stream);
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(io, service)
                    .await;
            });
        }
    });
}

fn answer(path: &str, database: &str) -> Response<Full<Bytes>> {
    let body = match path.strip_prefix("/row/") {
        Some(id) => query(database, "select * from lead where id = ?1", id),
        None if path == "/leads" => query(
            database,
            "select * from lead order by id desc limit ?1",
            "50",
        ),
        None => "hello".to_owned(),
    };
    Response::builder()
        .header("content-type", "application/json")
        .body(Full::from(body))
        .expect("a response")
}

fn query(database: &str, sql: &str, parameter: &str) -> String {
    CONNECTION.with_borrow_mut(|connection| {
        let connection = connection.get_or_insert_with(|| open(database));
        let mut statement = connection.prepare_cached(sql).expect("a statement");
        let rows = statement
            .query_map([parameter], json)
            .expect("rows")
            .map(|row| row.expect("a row"));
        serde_json::to_string(&rows.collect::<Vec<_>>()).expect("JSON")
    })
}

fn json(row: &Row<'_>) -> rusqlite::Result<serde_json::Value> {
    let mut object = serde_json::Map::new();
    object.insert("id".into(), row.get::<_, i64>(0)?.into());
    for (i, name) in COLUMNS.split(", ").enumerate() {
        object.insert(name.into(), row.get::<_, Option<String>>(i + 1)?.into());
    }
    Ok(object.into())
}
