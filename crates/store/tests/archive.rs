//! An archive gives back what was in the database, whatever engine wrote and reads it; and nothing that was changed.

use proptest::prelude::*;
use store::archive::{Error, Reader, Summary, Writer, copy};
use store::migrate::{TENANT, latest};
use store::port::insert_many;
use store::{Db, Engine, Value, params};
use testkit::postgres::{Kind, Scratch};
use testkit::{ENGINES, dump, new, on_both, tenant};

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,8}", "[ -~\t\r\n“”äß€𝄞\u{2028}]{0,12}"]
}

/// A tenant with something in tables of every shape.
#[derive(Debug, Clone)]
struct Filling {
    leads: Vec<(i64, Option<String>, String)>,
    events: Vec<Option<i64>>,
    chunks: Vec<Vec<u8>>,
    settings: Vec<String>,
}

fn filling() -> impl Strategy<Value = Filling> {
    let lead = (1i64..2000, prop::option::of(text()), text());
    (
        prop::collection::vec(lead, 0..60),
        prop::collection::vec(prop::option::of(1i64..2000), 0..1200),
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..40),
        prop::collection::vec(text(), 0..5),
    )
        .prop_map(|(leads, events, chunks, settings)| Filling {
            leads,
            events,
            chunks,
            settings,
        })
}

fn fill(db: &dyn Db, filling: &Filling) {
    for (id, email, name) in &filling.leads {
        let row = params![*id, email.as_deref(), name, i64::MAX - id];
        let text = "insert into lead (id, email, first_name, created_at, updated_at) values (?1, ?2, ?3, ?4, 0) on conflict do nothing";
        db.execute(text, row).expect("a lead");
        let text = "insert into lead_key (kind, value, lead_id) values ('email', ?2, ?1) on conflict do nothing";
        db.execute(text, params![*id, format!("{id} {name}")])
            .expect("a key");
    }
    let events = filling
        .events
        .iter()
        .flat_map(|lead| [Value::Integer(1), "seen".into(), (*lead).into()]);
    insert_many(db, "insert into event (at, kind, lead_id)", 3, "", events).expect("events");
    let import = store::import::insert(db, "p.csv", None, 1).expect("an import");
    for (no, bytes) in filling.chunks.iter().enumerate() {
        store::import::add_chunk(db, import, no as i64, bytes.clone(), 1).expect("a chunk");
    }
    for (n, value) in filling.settings.iter().enumerate() {
        db.execute(
            "insert into setting (key, value) values (?1, ?2)",
            params![format!("key {n}"), value],
        )
        .expect("a setting");
    }
}

fn write(db: Box<dyn Db>) -> Vec<u8> {
    let mut writer = Writer::new(db).expect("a writer");
    let mut all = Vec::new();
    while let Some(piece) = writer.piece().expect("a piece") {
        all.extend(piece);
    }
    all
}

fn read(db: Box<dyn Db>, archive: &[u8], cut: usize) -> Result<Summary, Error> {
    let mut reader = Reader::new(db);
    for piece in archive.chunks(cut) {
        reader.push(piece)?;
    }
    reader.finish(|_| Ok(()))
}

fn scratch() -> (Scratch, Box<dyn Db>) {
    let scratch = Scratch::new(Kind::Tenant);
    let again = Box::new(scratch.again());
    (scratch, again)
}

/// An SQLite file that can be opened again and again.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str) -> File {
        let file =
            std::env::temp_dir().join(format!("sluice-archive-{}-{name}.db", std::process::id()));
        let file = File(file);
        file.remove();
        store::migrate::migrate(&*file.open(), TENANT).expect("migrated");
        file
    }

    fn open(&self) -> Box<dyn Db> {
        Box::new(testkit::file(&self.0))
    }

    fn remove(&self) {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.remove();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn from_sqlite_to_postgres_and_back_nothing_changes(filling in filling(), cut in 1usize..5000) {
        let first = File::new("first");
        fill(&*first.open(), &filling);
        let before = dump(&*first.open(), &[]);
        let archive = write(first.open());
        let (postgres, reading) = scratch();
        let there = read(reading, &archive, cut).expect("read");
        prop_assert_eq!(&dump(&postgres, &[]), &before);
        let again = write(Box::new(postgres.again()));
        prop_assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&archive));
        let last = File::new("last");
        prop_assert_eq!(read(last.open(), &again, cut).expect("read"), there);
        prop_assert_eq!(&dump(&*last.open(), &[]), &before);
        // What comes next gets the next number on both.
        for db in [&postgres as &dyn Db, &*last.open()] {
            let insert = "insert into event (at, kind) values (2, 'next') returning id";
            prop_assert_eq!(db.query(insert, &[]).expect("kept")[0].int(0), filling.events.len() as i64 + 1);
        }
    }
}

fn sample() -> Vec<u8> {
    let db = tenant();
    let filling = Filling {
        leads: vec![
            (7, Some("a@x.test".into()), "Ann".into()),
            (9, None, "Bob".into()),
        ],
        events: vec![Some(7); 3],
        chunks: vec![vec![0, 255, 10]],
        settings: vec!["x".into()],
    };
    fill(&db, &filling);
    write(Box::new(db))
}

/// A fresh tenant's database, and another connection to it.
fn two(engine: Engine) -> (Box<dyn Db>, Box<dyn Db>, Option<File>) {
    match engine {
        Engine::Sqlite => {
            let file = File::new("refused");
            (file.open(), file.open(), Some(file))
        }
        Engine::Postgres => {
            let (scratch, again) = scratch();
            (Box::new(scratch), again, None)
        }
    }
}

#[test]
fn an_archive_that_was_changed_anywhere_leaves_nothing_behind() {
    let archive = sample();
    let text = String::from_utf8(archive.clone()).expect("UTF-8");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut wrong: Vec<String> = vec![
        text.replace("Ann", "Eve"),
        text.replace("\"rows\":3", "\"rows\":2"),
        text.replace("\"first_name\"", "\"first_name; drop\""),
        text.replace("\"table\":\"lead\"", "\"table\":\"tag\""),
        text.replace("[\"content\"", "[\"contents\""),
        text.replace("AP8K", "AP8*"),
        format!("{text}{{}}\n"),
        format!("{text}x"),
        String::new(),
        "not an archive\n".to_owned(),
    ];
    // Any line gone, and the end gone at any line.
    for n in 0..lines.len() {
        let mut left = lines.clone();
        left.remove(n);
        wrong.push(left.concat());
        wrong.push(lines[..n].concat());
    }
    for engine in ENGINES {
        let (db, _, _keep) = two(engine);
        let empty = dump(&*db, &[]);
        drop(db);
        for (n, wrong) in wrong.iter().enumerate() {
            if engine == Engine::Postgres && n % 8 != 0 {
                continue;
            }
            let (look, db, _keep) = two(engine);
            let refused = read(db, wrong.as_bytes(), 100);
            assert!(
                matches!(refused, Err(Error::Invalid(_))),
                "{n}: {refused:?}"
            );
            if !wrong.starts_with('{') {
                let said = format!("{refused:?}");
                assert!(said.contains("This is no archive"), "{n}: {said}");
            }
            assert_eq!(dump(&*look, &[]), empty, "{n}");
        }
    }
}

#[test]
fn a_newer_archive_and_a_full_database_are_refused() {
    let archive = sample();
    let version = latest(TENANT);
    let newer = String::from_utf8_lossy(&archive).replace(
        &format!("\"schema_version\":{version}"),
        &format!("\"schema_version\":{}", version + 1),
    );
    on_both(|engine| {
        let (look, db, _keep) = two(engine);
        assert!(matches!(
            read(db, newer.as_bytes(), 100),
            Err(Error::Newer(_))
        ));
        look.execute(
            "insert into tag (name, folded, created_at) values ('a', 'a', 1)",
            &[],
        )
        .expect("kept");
        let before = dump(&*look, &[]);
        drop(look);
        let (look, db, _keep) = two(engine);
        look.execute(
            "insert into tag (name, folded, created_at) values ('a', 'a', 1)",
            &[],
        )
        .expect("kept");
        assert_eq!(
            read(db, &archive, 100),
            Err(Error::NotEmpty("tag".to_owned()))
        );
        assert_eq!(dump(&*look, &[]), before);
    });
}

#[test]
fn a_database_without_any_tables_takes_an_archive() {
    let archive = sample();
    on_both(|engine| {
        let db = new(engine, Kind::Empty);
        let summary = read(db, &archive, 1 << 20).expect("read");
        assert_eq!(summary.rows, 2 + 2 + 3 + 1 + 1 + 1);
    });
}

/// Copies piece by piece; every piece comes twice, and what came late changes nothing.
fn copy_all(from: &dyn Db, to: &dyn Db) {
    let mut first = None;
    loop {
        let at = copy::position(to).expect("a position");
        let piece = copy::read(from, at.as_ref()).expect("a piece");
        let complete = copy::write(to, &piece).expect("kept");
        let late = first.get_or_insert(piece);
        let before = copy::position(to).expect("a position");
        let _ = copy::write(to, late).expect("no harm");
        assert_eq!(copy::position(to).expect("a position"), before);
        if complete {
            return;
        }
    }
}

#[test]
fn a_copy_goes_on_where_it_is_and_is_the_same_on_either_engine() {
    for (from, to) in [
        (Engine::Sqlite, Engine::Postgres),
        (Engine::Postgres, Engine::Sqlite),
    ] {
        let (from, to) = (new(from, Kind::Tenant), new(to, Kind::Tenant));
        let filling = Filling {
            leads: (1..400)
                .map(|n| (n, Some(format!("l{n}")), "Ána".repeat(200)))
                .collect(),
            events: vec![None; 900],
            chunks: vec![(0..=255).cycle().take(120_000).collect(); 11],
            settings: vec!["é".into(), "x".into()],
        };
        fill(&*from, &filling);
        copy_all(&*from, &*to);
        assert_eq!(dump(&*from, &[]), dump(&*to, &[]));
        let mut at = None;
        loop {
            let of = |db: &dyn Db| copy::digest(db, at.as_ref()).expect("a digest");
            let (there, here) = (of(&*from), of(&*to));
            assert_eq!(there, here);
            match there.end {
                Some(end) => at = Some(end),
                None => break,
            }
        }
        let changed = "update event set kind = 'changed' where id = 7";
        to.execute(changed, &[]).expect("kept");
        let of = |db: &dyn Db| copy::digest(db, None).expect("a digest").sha256;
        assert_ne!(of(&*from), of(&*to));
    }
}

#[test]
fn a_piece_that_was_changed_is_not_kept() {
    let from = tenant();
    let filling = Filling {
        leads: vec![(7, Some("a@x.test".into()), "Ann".into())],
        events: vec![Some(7); 3],
        chunks: vec![vec![0, 255, 10]],
        settings: vec!["x".into()],
    };
    fill(&from, &filling);
    let piece = copy::read(&from, None).expect("a piece");
    let text = serde_json::to_string(&piece).expect("JSON");
    let nowhere = copy::Position {
        table: "schema_version".into(),
        key: vec![],
    };
    assert!(matches!(
        copy::read(&from, Some(&nowhere)),
        Err(Error::Invalid(_))
    ));
    on_both(|engine| {
        let to = new(engine, Kind::Tenant);
        let empty = dump(&*to, &[]);
        for (was, is) in [
            ("Ann", "Eve"),
            ("\"schema_version\":", "\"schema_version\":9"),
            ("[\"event\",3]", "[\"event\",4]"),
            ("\"table\":\"lead\"", "\"table\":\"tag\""),
            ("AP8K", "AP8*"),
        ] {
            let changed = text.replace(was, is);
            assert_ne!(changed, text, "{was}");
            let changed: copy::Piece = serde_json::from_str(&changed).expect("a piece");
            let refused = copy::write(&*to, &changed);
            assert!(
                matches!(refused, Err(Error::Invalid(_))),
                "{was}: {refused:?}"
            );
            assert_eq!(dump(&*to, &[]), empty, "{was}");
        }
        assert_eq!(copy::write(&*to, &piece), Ok(true));
    });
}
