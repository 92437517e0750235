use super::super::bindings::spin::postgres::postgres::{
    DbDataType, Interval, QueryError, RangeBoundKind,
};
use super::super::postgres_server::{Server, shared};
use super::super::postgres_tls;
use super::*;
use crate::config::outbound::AllowedHost;
use std::time::Instant;

const ANYWHERE: &str = "postgres://*:*";

fn pools(most: usize) -> Arc<Pools> {
    Arc::new(Pools::new(most, Vec::new()))
}

async fn open_at(pools: &Arc<Pools>, address: &str, allowed: &str) -> Result<Connection, String> {
    let client = Client::new(pools.clone());
    let allowed = [AllowedHost::parse(allowed).unwrap()];
    let opening = client.opening(&allowed, plain(address.to_owned()));
    opening.await.map_err(|error| format!("{error:?}"))
}

async fn open(pools: &Arc<Pools>) -> Connection {
    let address = shared().socket_dsn();
    open_at(pools, &address, ANYWHERE).await.unwrap()
}

async fn rows(connection: &mut Connection, sql: &str) -> Result<Vec<Vec<DbValue>>, Error> {
    connection.run(sql, &[]).await.map(|outcome| outcome.rows)
}

async fn number(connection: &mut Connection, sql: &str) -> i64 {
    match rows(connection, sql).await.unwrap()[0][0] {
        DbValue::Int64(number) => number,
        DbValue::Int32(number) => number.into(),
        ref other => panic!("{other:?}"),
    }
}

fn sqlstate(error: &Error) -> &str {
    match error {
        Error::QueryFailed(QueryError::DbError(said)) => &said.code,
        other => panic!("{other:?}"),
    }
}

/// Waits until the connections that were given back are clean.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn values_of_every_type_come_back_as_they_went_in() {
    use ParameterValue as P;
    let (inclusive, exclusive) = (RangeBoundKind::Inclusive, RangeBoundKind::Exclusive);
    let decimal = "-12345678901234567890123456789012.0050";
    let values = [
        ("boolean", P::Boolean(true)),
        ("int2", P::Int16(-2)),
        ("int4", P::Int32(i32::MIN)),
        ("int8", P::Int64(i64::MAX)),
        ("float4", P::Floating32(1.5)),
        ("float8", P::Floating64(-0.1)),
        ("text", P::Str("é😀".to_owned())),
        ("varchar", P::Str(String::new())),
        ("bytea", P::Binary(vec![0, 255])),
        ("date", P::Date((1999, 12, 31))),
        ("date", P::Date((-44, 3, 15))),
        ("time", P::Time((23, 59, 59, 999_999_000))),
        (
            "timestamp",
            P::Datetime((1969, 7, 20, 20, 17, 40, 123_456_000)),
        ),
        (
            "uuid",
            P::Uuid("0190163d-8694-739b-aea5-966c26f8ad91".to_owned()),
        ),
        ("jsonb", P::Jsonb(br#"{"a": [1, null]}"#.to_vec())),
        ("numeric", P::Decimal(decimal.to_owned())),
        ("numeric", P::Decimal("0.00012".to_owned())),
        ("numeric", P::Decimal("10000".to_owned())),
        ("numeric", P::Decimal("0".to_owned())),
        (
            "int4range",
            P::RangeInt32((Some((1, inclusive)), Some((5, exclusive)))),
        ),
        ("int8range", P::RangeInt64((None, Some((-1, exclusive))))),
        (
            "numrange",
            P::RangeDecimal((
                Some(("1.5".to_owned(), exclusive)),
                Some(("99".to_owned(), inclusive)),
            )),
        ),
        ("int4[]", P::ArrayInt32(vec![Some(1), None, Some(-3)])),
        ("int8[]", P::ArrayInt64(vec![])),
        (
            "numeric[]",
            P::ArrayDecimal(vec![Some("7.5".to_owned()), None]),
        ),
        ("text[]", P::ArrayStr(vec![Some("a,\"b".to_owned()), None])),
        (
            "interval",
            P::Interval(Interval {
                micros: -1,
                days: 2,
                months: 14,
            }),
        ),
    ];
    let mut connection = open(&pools(5)).await;
    for (kind, value) in values {
        let sql = format!("select $1::{kind} as v, $1::{kind}::text, null::{kind}");
        let outcome = connection.run(&sql, std::slice::from_ref(&value)).await;
        let outcome = outcome.unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        let strip = |text: String| {
            text.replace("DbValue::", "")
                .replace("ParameterValue::", "")
        };
        let (sent, got) = (format!("{value:?}"), format!("{:?}", outcome.rows[0][0]));
        assert_eq!(strip(sent), strip(got), "{kind}");
        assert!(matches!(outcome.rows[0][2], DbValue::DbNull), "{kind}");
        assert_eq!(outcome.columns[0].name, "v");
    }
    // The server reads the numbers as they were meant.
    let sql = "select $1::numeric::text";
    let outcome = connection.run(sql, &[P::Decimal(decimal.to_owned())]).await;
    let text = format!("{:?}", outcome.map_err(drop).unwrap().rows);
    assert!(text.contains(decimal), "{text}");
}

#[tokio::test]
async fn values_that_only_come_back_are_told_too() {
    use ParameterValue as P;
    let mut connection = open(&pools(5)).await;
    let sql = "select to_timestamp($1), $2::timestamptz, 'a'::\"char\", '{}'::json, 'NaN'::numeric, \
               1e20::numeric";
    let parameters = [P::Floating64(0.5), P::Timestamp(86_400)];
    let outcome = connection.run(sql, &parameters).await.unwrap();
    let kinds: Vec<_> = outcome
        .columns
        .iter()
        .map(|column| &column.data_type)
        .collect();
    assert!(matches!(kinds[0], DbDataType::Datetime));
    assert!(matches!(kinds[3], DbDataType::Other(name) if name == "json"));
    let row = &outcome.rows[0];
    assert!(matches!(
        row[0],
        DbValue::Datetime((1970, 1, 1, 0, 0, 0, 500_000_000))
    ));
    assert!(matches!(
        row[1],
        DbValue::Datetime((1970, 1, 2, 0, 0, 0, 0))
    ));
    assert!(matches!(&row[3], DbValue::Unsupported(raw) if raw == b"{}"));
    assert!(matches!(&row[4], DbValue::Decimal(text) if text == "NaN"));
    assert!(matches!(&row[5], DbValue::Decimal(text) if text == "100000000000000000000"));
    let error = rows(&mut connection, "select 'infinity'::timestamp")
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::ValueConversionFailed(_)),
        "{error:?}"
    );
    let error = rows(&mut connection, "select 'empty'::int4range")
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::ValueConversionFailed(_)),
        "{error:?}"
    );
    assert_eq!(number(&mut connection, "select 1").await, 1);
}

#[tokio::test]
async fn a_parameter_that_does_not_fit_is_refused_before_it_is_sent() {
    use ParameterValue as P;
    let mut connection = open(&pools(5)).await;
    for (kind, value) in [
        ("int4", P::Int64(1)),
        ("int8", P::Str("1".to_owned())),
        ("uuid", P::Uuid("no".to_owned())),
        ("jsonb", P::Jsonb(b"{".to_vec())),
        ("numeric", P::Decimal("1e5".to_owned())),
        ("date", P::Date((2023, 2, 29))),
        ("time", P::Time((24, 0, 0, 0))),
        ("timestamptz", P::Timestamp(i64::MAX)),
    ] {
        let sql = format!("select $1::{kind}");
        let error = connection.run(&sql, &[value]).await.err().unwrap();
        assert!(matches!(error, Error::BadParameter(_)), "{kind}: {error:?}");
    }
    let error = connection.run("select $1::int4", &[]).await.err().unwrap();
    let text = format!("{error:?}");
    assert!(
        text.contains("0 parameters given, the statement has 1"),
        "{text}"
    );
    assert_eq!(number(&mut connection, "select 1").await, 1);
}

#[tokio::test]
async fn errors_keep_their_sqlstate() {
    let mut connection = open(&pools(5)).await;
    for (sql, code) in [
        ("selec", "42601"),
        ("select * from nowhere", "42P01"),
        ("select 1/0", "22012"),
        ("select pg_terminate_backend(0, -1)", "22003"),
    ] {
        let error = rows(&mut connection, sql).await.unwrap_err();
        assert_eq!(sqlstate(&error), code, "{sql}");
    }
    rows(&mut connection, "create temp table t (n int4 primary key)")
        .await
        .unwrap();
    rows(&mut connection, "insert into t values (1)")
        .await
        .unwrap();
    let error = rows(&mut connection, "insert into t values (1)")
        .await
        .unwrap_err();
    let Error::QueryFailed(QueryError::DbError(said)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        (said.code.as_str(), said.severity.as_str()),
        ("23505", "ERROR")
    );
    assert!(said.as_text.contains("SQLSTATE 23505"), "{}", said.as_text);
    let constraint = ("constraint".to_owned(), "t_pkey".to_owned());
    assert!(said.extras.contains(&constraint), "{:?}", said.extras);
}

#[tokio::test]
async fn a_transaction_spans_calls_and_an_abandoned_one_is_rolled_back() {
    let pools = pools(1);
    let mut one = open(&pools).await;
    rows(&mut one, "create table abandoned (n int4)")
        .await
        .unwrap();
    rows(&mut one, "begin").await.unwrap();
    let changed = one.run("insert into abandoned values (1), (2)", &[]).await;
    assert_eq!(changed.map_err(drop).unwrap().affected, 2);
    rows(&mut one, "commit").await.unwrap();
    rows(&mut one, "begin").await.unwrap();
    rows(&mut one, "insert into abandoned values (3)")
        .await
        .unwrap();
    drop(one);
    // There is one connection only, so this is the same one.
    let mut next = open(&pools).await;
    assert_eq!(number(&mut next, "select count(*) from abandoned").await, 2);
    rows(&mut next, "insert into abandoned values (4)")
        .await
        .unwrap();
    assert_eq!(number(&mut next, "select count(*) from abandoned").await, 3);
    rows(&mut next, "drop table abandoned").await.unwrap();
}

#[tokio::test]
async fn what_one_user_did_to_a_connection_the_next_does_not_see() {
    let pools = pools(1);
    let mut one = open(&pools).await;
    for sql in [
        "create role reader",
        "set search_path = nowhere",
        "set role reader",
        "select set_config('a.b', 'c', false)",
        "select pg_advisory_lock(7)",
        "create temp table mine (n int4)",
    ] {
        rows(&mut one, sql).await.unwrap();
    }
    drop(one);
    let mut next = open(&pools).await;
    let path = rows(
        &mut next,
        "select current_setting('search_path'), current_user::text",
    )
    .await;
    let path = format!("{:?}", path.unwrap());
    assert!(
        path.contains("public") && path.contains("\"sluice\""),
        "{path}"
    );
    assert_eq!(
        number(
            &mut next,
            "select count(*) from pg_locks where locktype = 'advisory'"
        )
        .await,
        0
    );
    assert!(rows(&mut next, "select * from mine").await.is_err());
    rows(&mut next, "drop role reader").await.unwrap();
    rows(&mut next, "prepare own as select 1").await.unwrap();
    drop(next);
    let mut last = open(&pools).await;
    let own = "select count(*) from pg_prepared_statements where name = 'own'";
    assert_eq!(number(&mut last, own).await, 0);
}

#[tokio::test]
async fn statements_are_prepared_once_and_again_when_a_table_changed() {
    let pools = pools(2);
    let mut one = open(&pools).await;
    let process = number(&mut one, "select pg_backend_pid()").await;
    rows(&mut one, "create table changing (a int4)")
        .await
        .unwrap();
    rows(&mut one, "insert into changing values (1)")
        .await
        .unwrap();
    for _ in 0..3 {
        assert_eq!(
            rows(&mut one, "select * from changing").await.unwrap()[0].len(),
            1
        );
    }
    let kept =
        "select count(*) from pg_prepared_statements where statement like 'select * from ch%'";
    assert_eq!(number(&mut one, kept).await, 1);
    drop(one);
    settle().await;
    let mut again = open(&pools).await;
    assert_eq!(number(&mut again, "select pg_backend_pid()").await, process);
    assert_eq!(number(&mut again, kept).await, 1);
    let mut other = open(&pools).await;
    rows(&mut other, "alter table changing add b text")
        .await
        .unwrap();
    assert_eq!(
        rows(&mut again, "select * from changing").await.unwrap()[0].len(),
        2
    );
    rows(&mut again, "deallocate all").await.unwrap();
    assert_eq!(
        rows(&mut again, "select * from changing").await.unwrap()[0].len(),
        2
    );
    rows(&mut other, "drop table changing").await.unwrap();
}

#[tokio::test]
async fn a_statement_nobody_waits_for_is_ended_with_its_connection() {
    let pools = pools(1);
    let mut one = open(&pools).await;
    rows(&mut one, "create table sleeping (n int4)")
        .await
        .unwrap();
    let sql = "with s as (select pg_sleep(60)) insert into sleeping select 1 from s";
    let waiting = tokio::time::timeout(Duration::from_millis(300), one.run(sql, &[]));
    assert!(waiting.await.is_err());
    let started = Instant::now();
    drop(one);
    let mut next = open(&pools).await;
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(number(&mut next, "select count(*) from sleeping").await, 0);
    rows(&mut next, "drop table sleeping").await.unwrap();
}

#[tokio::test]
async fn connections_are_bounded_over_all_strings_and_idle_ones_make_room() {
    let pools = pools(2);
    let string = |name: &str| format!("{} application_name={name}", shared().socket_dsn());
    for name in ["a", "b", "c", "d"] {
        let mut connection = open_at(&pools, &string(name), ANYWHERE).await.unwrap();
        number(&mut connection, "select 1").await;
        drop(connection);
        settle().await;
        assert!(
            pools.open_connections() <= 2,
            "{}",
            pools.open_connections()
        );
    }
    let (one, two) = (open(&pools).await, open(&pools).await);
    let started = Instant::now();
    let error = open_at(&pools, &string("e"), ANYWHERE).await.err().unwrap();
    assert!(
        error.contains("all 2 connections to PostgreSQL were in use"),
        "{error}"
    );
    assert!(
        started.elapsed() >= Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );
    let string = string("f");
    let waiting = open_at(&pools, &string, ANYWHERE);
    let freeing = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(one);
    };
    let (opened, ()) = tokio::join!(waiting, freeing);
    opened.unwrap();
    drop(two);
    settle().await;
    pools.close_expired();
    assert!(pools.open_connections() <= 2);
}

#[tokio::test]
async fn instances_that_need_two_connections_each_do_not_starve_each_other() {
    let pools = pools(4);
    let work = |pools: Arc<Pools>| async move {
        let client = Client::new(pools);
        let allowed = [AllowedHost::parse(ANYWHERE).unwrap()];
        let address = shared().socket_dsn();
        let open = || client.opening(&allowed, plain(address.clone()));
        let mut one = open().await.map_err(|error| format!("{error:?}"))?;
        number(&mut one, "select 1").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut two = open().await.map_err(|error| format!("{error:?}"))?;
        number(&mut two, "select 1").await;
        Ok::<_, String>(())
    };
    let all: Vec<_> = (0..12).map(|_| work(pools.clone())).collect();
    for result in futures::future::join_all(all).await {
        result.unwrap();
    }
    assert!(pools.open_connections() <= 4);
}

#[tokio::test]
async fn every_host_of_a_connection_string_must_be_allowed() {
    let pools = pools(2);
    let port = shared().port();
    let refused = async |address: String, allowed: &str| {
        let error = open_at(&pools, &address, allowed).await.err();
        let error = error.unwrap_or_else(|| panic!("{address} was let through {allowed}"));
        assert!(error.contains("may not connect to"), "{address}: {error}");
    };
    let named = format!("postgres://127.0.0.1:{port}");
    let rest = "user=sluice password='it\\'s secret' dbname=postgres connect_timeout=1";
    let url = shared().url();
    assert!(open_at(&pools, &url, &named).await.is_ok());
    assert!(
        open_at(&pools, &url, "postgres://127.0.0.1:1")
            .await
            .is_err()
    );
    refused(url.clone(), "postgres://localhost:*").await;
    refused(url.clone(), "http://127.0.0.1:*").await;
    refused(url.clone(), "*://*:*").await;
    refused(
        format!("host=127.0.0.1,10.9.8.7 port={port} {rest}"),
        &named,
    )
    .await;
    refused(
        format!("host=127.0.0.1 hostaddr=10.9.8.7 port={port} {rest}"),
        &named,
    )
    .await;
    refused(
        format!("host=elsewhere hostaddr=127.0.0.1 port={port} {rest}"),
        &named,
    )
    .await;
    refused(format!("hostaddr=10.9.8.7 port={port} {rest}"), &named).await;
    refused(
        format!("postgres://u@127.0.0.1:{port},10.9.8.7:{port}/d"),
        &named,
    )
    .await;
    refused(
        format!("postgres://u@127.0.0.1:{port}/d?host=10.9.8.7"),
        &named,
    )
    .await;
    refused(
        format!("postgres://u@127.0.0.1:{port}/d?hostaddr=10.9.8.7"),
        &named,
    )
    .await;
    refused(
        "postgres:///d?host=/run/postgresql&port=7".to_owned(),
        &named,
    )
    .await;
    refused(shared().socket_dsn(), &named).await;
    let socket = format!("postgres://localhost:{port}");
    assert!(
        open_at(&pools, &shared().socket_dsn(), &socket)
            .await
            .is_ok()
    );
    let percent = shared().folder().display().to_string().replace('/', "%2F");
    let url = format!("postgresql://sluice:it%27s%20secret@{percent}:{port}/postgres");
    assert!(open_at(&pools, &url, &socket).await.is_ok());
    let error = open_at(&pools, "host=", ANYWHERE).await.err().unwrap();
    assert!(error.contains("ConnectionFailed"), "{error}");
    let error = open_at(&pools, "nonsense", ANYWHERE).await.err().unwrap();
    assert!(error.contains("invalid connection string"), "{error}");
}

#[tokio::test]
async fn a_server_that_was_restarted_is_found_again_without_an_error() {
    let server = Server::start("");
    let pools = pools(4);
    let url = server.url();
    let open = || open_at(&pools, &url, ANYWHERE);
    let mut lent = open().await.unwrap();
    let mut idle = open().await.unwrap();
    number(&mut idle, "select 1").await;
    drop(idle);
    // One that was opened, but not used yet, is replaced as well.
    server.stop("fast");
    let error = open().await.err().unwrap();
    assert!(error.contains("ConnectionFailed"), "{error}");
    server.go();
    assert_eq!(number(&mut lent, "select 1").await, 1);
    let mut again = open().await.unwrap();
    assert_eq!(number(&mut again, "select 2").await, 2);
    // In a transaction there is nothing to go back to.
    rows(&mut again, "begin").await.unwrap();
    server.stop("immediate");
    server.go();
    let error = rows(&mut again, "select 3").await.unwrap_err();
    let text = format!("{error:?}");
    assert!(
        text.contains("ConnectionFailed") || text.contains("57P0"),
        "{text}"
    );
    drop(again);
    let mut last = open().await.unwrap();
    assert_eq!(number(&mut last, "select 4").await, 4);
}

#[tokio::test]
async fn a_connection_that_the_server_ended_is_replaced_before_its_first_statement() {
    let pools = pools(3);
    let mut one = open(&pools).await;
    let process = number(&mut one, "select pg_backend_pid()").await;
    drop(one);
    settle().await;
    let mut killer = open_at(&pools, &shared().url(), ANYWHERE).await.unwrap();
    let mut same = open(&pools).await;
    rows(
        &mut killer,
        &format!("select pg_terminate_backend({process})"),
    )
    .await
    .unwrap();
    let now = number(&mut same, "select pg_backend_pid()").await;
    assert_ne!(now, process);
    rows(&mut killer, &format!("select pg_terminate_backend({now})"))
        .await
        .unwrap();
    settle().await;
    let error = rows(&mut same, "select 1").await.unwrap_err();
    assert!(
        format!("{error:?}").contains("ConnectionFailed"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_without_room_is_waited_for_and_says_so_in_the_end() {
    let server = Server::start("-c max_connections=5 -c superuser_reserved_connections=0");
    let pools = pools(10);
    let url = server.url();
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(open_at(&pools, &url, ANYWHERE).await.unwrap());
    }
    let waiting = open_at(&pools, &url, ANYWHERE);
    let freeing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        all.pop();
    };
    let (opened, ()) = tokio::join!(waiting, freeing);
    let opened = opened.unwrap();
    let error = open_at(&pools, &url, ANYWHERE).await.err().unwrap();
    assert!(error.contains("SQLSTATE 53300"), "{error}");
    drop((opened, all));
}

#[tokio::test]
async fn tls_is_used_when_it_is_asked_for_and_checks_the_certificate() {
    let server = Server::start("");
    server.stop("fast");
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, private) = (key.cert.pem(), key.signing_key.serialize_pem());
    let certificate_path = server.put("server.crt", &certificate);
    let key_path = server.put("server.key", &private);
    let mut server = server;
    server.set(format!(
        "-c ssl=on -c ssl_cert_file={} -c ssl_key_file={}",
        certificate_path.display(),
        key_path.display()
    ));
    server.go();
    let encrypted = async |connection: &mut Connection| {
        let sql = "select count(*) from pg_stat_ssl where pid = pg_backend_pid() and ssl";
        number(connection, sql).await == 1
    };
    let with = |mode: &str| format!("{}?sslmode={mode}", server.url());
    let usual = pools(9);
    let mut plain_one = open_at(&usual, &with("disable"), ANYWHERE).await.unwrap();
    assert!(!encrypted(&mut plain_one).await);
    let mut preferred = open_at(&usual, &with("prefer"), ANYWHERE).await.unwrap();
    assert!(encrypted(&mut preferred).await);
    let error = open_at(&usual, &with("require"), ANYWHERE)
        .await
        .err()
        .unwrap();
    assert!(error.contains("certificate"), "{error}");
    let knowing = Arc::new(Pools::new(9, certificate.clone().into_bytes()));
    let mut required = open_at(&knowing, &with("require"), ANYWHERE).await.unwrap();
    assert!(encrypted(&mut required).await);
    // A guest may bring the root itself.
    let client = Client::new(usual.clone());
    let allowed = [AllowedHost::parse(ANYWHERE).unwrap()];
    let build = |roots: &str| {
        client.opening(
            &allowed,
            Key {
                address: with("require"),
                roots: Some(roots.to_owned()),
            },
        )
    };
    let mut built = build(&certificate).await.unwrap();
    assert!(encrypted(&mut built).await);
    assert!(build("nothing").await.is_err());
    assert!(postgres_tls::verified(Some(b""), b"").is_err());
}

/// A way to the shared server that carries nothing any more once `silent` is set; gives its port.
async fn way(silent: Arc<std::sync::atomic::AtomicBool>) -> u16 {
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    async fn carry(
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        silent: Arc<std::sync::atomic::AtomicBool>,
    ) {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = from.read(&mut bytes).await {
            if silent.load(std::sync::atomic::Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            to.write_all(&bytes[..n]).await.unwrap();
        }
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = ("127.0.0.1", shared().port());
            let far = tokio::net::TcpStream::connect(far).await.unwrap();
            let ((a, b), (c, d)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(a, d, silent.clone()));
            tokio::spawn(carry(c, b, silent.clone()));
        }
    });
    port
}

#[tokio::test]
async fn a_server_that_falls_silent_costs_one_wait_and_holds_no_connection() {
    let (pools, silent) = (pools(8), Arc::default());
    let port = way(Arc::clone(&silent)).await;
    let address = shared()
        .url()
        .replace(&format!(":{}/", shared().port()), &format!(":{port}/"));
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(open_at(&pools, &address, ANYWHERE).await.unwrap());
    }
    let mut busy = held.pop().unwrap();
    drop(held);
    // Until idle connections are looked at before they are lent.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    silent.store(true, std::sync::atomic::Ordering::Relaxed);
    let asking = rows(&mut busy, "select 1");
    let cut = tokio::time::timeout(Duration::from_millis(100), asking).await;
    assert!(cut.is_err());
    drop(busy);
    let started = Instant::now();
    assert!(open_at(&pools, &address, ANYWHERE).await.is_err());
    assert!(started.elapsed() < Duration::from_secs(7), "one wait");
    settle().await;
    assert_eq!(pools.open_connections(), 0);
}

#[tokio::test]
async fn a_connection_whose_call_was_cancelled_says_that_it_is_gone() {
    let mut connection = open(&pools(2)).await;
    let taken = connection.begin().unwrap().ok();
    assert!(connection.begin().is_none(), "others wait meanwhile");
    drop(taken);
    let gone = connection.begin().unwrap().err().unwrap();
    assert!(format!("{gone:?}").contains("cancelled"), "{gone:?}");
    assert!(rows(&mut connection, "select 1").await.is_err());
}
