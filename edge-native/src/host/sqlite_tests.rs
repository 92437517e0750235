use super::*;
use crate::host::sqlite_pool::Synchronous;
use tempfile::TempDir;

struct Fixture {
    databases: Arc<Databases>,
    _folder: TempDir,
}

fn fixture(most: usize) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let labels = ["one", "two", "three"].into_iter();
    let path = folder.path().join("sqlite");
    let databases = Arc::new(Databases::new(&path, Synchronous::Normal, most, labels));
    Fixture {
        databases,
        _folder: folder,
    }
}

impl Fixture {
    fn open(&self, label: &str) -> Connection {
        Connection::new(
            self.databases.clone(),
            self.databases.label(label).unwrap().clone(),
        )
    }
}

async fn run(connection: &mut Connection, sql: &str) -> Result<Vec<Vec<Value>>, String> {
    let result = connection.execute(sql, &[]).await;
    let result = result.map_err(|error| format!("{error:?}"))?;
    Ok(result.rows.into_iter().map(|row| row.values).collect())
}

async fn integer(connection: &mut Connection, sql: &str) -> i64 {
    match run(connection, sql).await.unwrap()[0][0] {
        Value::Integer(number) => number,
        ref other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn values_come_back_as_they_went_in() {
    let fixture = fixture(10);
    let mut one = fixture.open("one");
    let values = [
        Value::Integer(-7),
        Value::Real(1.5),
        Value::Text("é".to_owned()),
        Value::Blob(vec![0, 255]),
        Value::Null,
    ];
    let result = one
        .execute("select ?1 as a, ?2, ?3, ?4, ?5", &values)
        .await
        .unwrap();
    assert_eq!(result.columns[0], "a");
    assert_eq!(
        format!("{:?}", result.rows[0].values),
        format!("{values:?}")
    );
    let error = one.execute("select ?1", &[]).await.unwrap_err();
    assert!(
        format!("{error:?}").contains("0 parameters given, the statement has 1"),
        "{error:?}"
    );
    let error = run(&mut one, "select cast(x'ff' as text)")
        .await
        .unwrap_err();
    assert!(error.contains("not UTF-8"), "{error}");
}

#[tokio::test]
async fn a_transaction_spans_calls_and_an_abandoned_one_is_rolled_back() {
    let fixture = fixture(10);
    let mut one = fixture.open("one");
    run(&mut one, "create table t (n integer)").await.unwrap();
    run(&mut one, "begin immediate").await.unwrap();
    run(&mut one, "insert into t values (1)").await.unwrap();
    run(&mut one, "commit").await.unwrap();
    assert_eq!((one.last_insert_rowid(), one.changes()), (1, 1));
    run(&mut one, "begin immediate").await.unwrap();
    run(&mut one, "insert into t values (2)").await.unwrap();
    drop(one);
    let mut again = fixture.open("one");
    assert_eq!(integer(&mut again, "select count(*) from t").await, 1);
    run(&mut again, "insert into t values (3)").await.unwrap();
}

#[tokio::test]
async fn only_the_first_of_several_statements_is_executed() {
    let fixture = fixture(10);
    let mut one = fixture.open("one");
    run(&mut one, "create table a (n); create table b (n)")
        .await
        .unwrap();
    let names = run(&mut one, "select name from sqlite_schema")
        .await
        .unwrap();
    assert_eq!(format!("{names:?}"), "[[Value::Text(\"a\")]]");
    assert!(run(&mut one, "-- nothing").await.is_err());
}

#[tokio::test]
async fn no_statement_reaches_another_file() {
    let fixture = fixture(10);
    let mut one = fixture.open("one");
    let outside = fixture._folder.path().join("outside.db");
    let outside = outside.display();
    for sql in [
        format!("attach '{outside}' as other"),
        format!("vacuum into '{outside}'"),
        format!("select load_extension('{outside}')"),
        "pragma temp_store_directory = '/'".to_owned(),
    ] {
        assert!(run(&mut one, &sql).await.is_err(), "{sql}");
    }
    run(&mut one, "vacuum").await.unwrap();
}

#[tokio::test]
async fn full_text_search_json_and_foreign_keys_are_there() {
    let fixture = fixture(10);
    let mut one = fixture.open("one");
    run(&mut one, "create virtual table f using fts5(t)")
        .await
        .unwrap();
    assert_eq!(
        integer(&mut one, "select count(*) from json_each('[1,2]')").await,
        2
    );
    assert_eq!(integer(&mut one, "pragma foreign_keys").await, 1);
    let mode = run(&mut one, "pragma journal_mode").await.unwrap();
    assert_eq!(format!("{mode:?}"), "[[Value::Text(\"wal\")]]");
}

#[tokio::test]
async fn what_one_user_did_to_a_connection_the_next_does_not_see() {
    let fixture = fixture(10);
    let mut one = fixture.open("one");
    run(&mut one, "pragma foreign_keys = off").await.unwrap();
    run(&mut one, "create temp table secret (n)").await.unwrap();
    drop(one);
    let mut next = fixture.open("one");
    assert_eq!(integer(&mut next, "pragma foreign_keys").await, 1);
    assert!(run(&mut next, "select * from temp.secret").await.is_err());
}

#[tokio::test]
async fn a_writer_waits_for_another_without_blocking_the_thread() {
    let fixture = fixture(10);
    let mut one = fixture.open("one");
    run(&mut one, "create table t (n integer)").await.unwrap();
    run(&mut one, "begin immediate").await.unwrap();
    let mut other = fixture.open("one");
    let waiting = async { run(&mut other, "insert into t values (2)").await.unwrap() };
    let first = async {
        // Only a thread that is free gets here while the other waits.
        tokio::time::sleep(Duration::from_millis(100)).await;
        run(&mut one, "insert into t values (1)").await.unwrap();
        run(&mut one, "commit").await.unwrap();
    };
    let started = Instant::now();
    tokio::join!(waiting, first);
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(integer(&mut one, "select sum(n) from t").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_count_right_and_none_waits_for_long() {
    let fixture = Arc::new(fixture(64));
    let mut one = fixture.open("one");
    run(&mut one, "create table t (n integer)").await.unwrap();
    run(&mut one, "insert into t values (0)").await.unwrap();
    let count = async |fixture: Arc<Fixture>| {
        let mut longest = Duration::ZERO;
        for _ in 0..50 {
            let started = Instant::now();
            let mut own = fixture.open("one");
            run(&mut own, "begin immediate").await.unwrap();
            let n = integer(&mut own, "select n from t").await;
            own.execute("update t set n = ?1", &[Value::Integer(n + 1)])
                .await
                .unwrap();
            run(&mut own, "commit").await.unwrap();
            longest = longest.max(started.elapsed());
        }
        longest
    };
    let writers: Vec<_> = (0..24)
        .map(|_| tokio::spawn(count(fixture.clone())))
        .collect();
    for writer in writers {
        let longest = writer.await.unwrap();
        assert!(longest < Duration::from_secs(3), "{longest:?}");
    }
    assert_eq!(integer(&mut one, "select n from t").await, 24 * 50);
}

#[tokio::test]
async fn a_writer_gives_up_after_the_busy_timeout() {
    let fixture = fixture(10);
    let mut one = fixture.open("one");
    run(&mut one, "begin immediate").await.unwrap();
    let mut other = fixture.open("one");
    let started = Instant::now();
    let error = run(&mut other, "create table t (n)").await.unwrap_err();
    assert!(error.contains("database is locked"), "{error}");
    assert!(started.elapsed() >= BUSY_TIMEOUT);
}

#[tokio::test]
async fn connections_are_pooled_and_bounded_over_all_labels() {
    let fixture = fixture(2);
    for label in ["one", "two", "three", "one", "one"] {
        let mut connection = fixture.open(label);
        run(&mut connection, "select 1").await.unwrap();
    }
    assert!(
        fixture.databases.open_connections() <= 2,
        "{}",
        fixture.databases.open_connections()
    );
    let mut many = Vec::new();
    for _ in 0..4 {
        let mut connection = fixture.open("one");
        run(&mut connection, "select 1").await.unwrap();
        many.push(connection);
    }
    drop(many);
    assert!(
        fixture.databases.open_connections() <= 2,
        "{}",
        fixture.databases.open_connections()
    );
    fixture.databases.checkpoint();
    assert_eq!(fixture.databases.open_connections(), 0);
}

#[tokio::test]
async fn a_statement_that_reads_for_too_long_is_ended() {
    let fixture = fixture(10);
    let mut one = fixture.open("one");
    let endless =
        "with recursive n (i) as (select 1 union all select i + 1 from n) select count(*) from n";
    let ended = run(&mut one, endless).await.unwrap_err();
    assert!(ended.contains("interrupted"), "{ended}");
    assert_eq!(integer(&mut one, "select 7").await, 7);
}
