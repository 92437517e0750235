//! An import that dies anywhere, however its file was cut, ends like one that nobody disturbed.

use proptest::prelude::*;
use stages::import::Merge;
use stages::ingest::Ingest;
use stages::run::Stage;
use store::migrate::{TENANT, migrate};
use store::{Db, Engine, Error, Open, Place, Result, import, undo};
use testkit::{Stores, dump};

const NOW: i64 = 1_795_262_400_000;

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z]{0,6}",
        1 => Just("\"Smith, \"\"Bob\"\"\"".to_owned()),
        1 => Just("\"two\r\nlines\"".to_owned()),
        1 => Just("Zoë".to_owned()),
    ]
}

/// Few people, so that rows meet the same lead often, and two leads at once.
fn email() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (0..8).prop_map(|n| format!("p{n}@x.test")),
        1 => (0..8).prop_map(|n| format!(" P{n}@X.test ")),
        1 => Just("stop@x.test".to_owned()),
        1 => Just("not an address".to_owned()),
        2 => Just(String::new()),
    ]
}

fn linkedin() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0..8).prop_map(|n| format!("https://www.linkedin.com/in/p{n}/")),
        3 => Just(String::new()),
    ]
}

fn line() -> impl Strategy<Value = String> {
    let row = (email(), cell(), cell(), linkedin(), cell()).prop_map(
        |(email, first, company, linkedin, team)| {
            format!("{email},{first},{company},{linkedin},{team}")
        },
    );
    let ragged = (email(), prop::collection::vec(cell(), 0..8))
        .prop_map(|(email, cells)| format!("{email},{}", cells.join(",")));
    prop_oneof![8 => row, 1 => ragged, 1 => Just(String::new()), 1 => Just(",,,,".to_owned())]
}

fn file() -> impl Strategy<Value = String> {
    let ends = prop_oneof![Just("\r\n"), Just("\n")];
    (prop::collection::vec(line(), 0..60), ends, any::<bool>()).prop_map(|(lines, end, last)| {
        let header = "email,first_name,company,linkedin,Team".to_owned();
        let lines: Vec<_> = std::iter::once(header).chain(lines).collect();
        lines.join(end) + if last { end } else { "" }
    })
}

fn upload(db: &dyn Db, file: &[u8], sizes: &[usize], tag: Option<&str>) -> Result<i64> {
    let id = import::insert(db, "people.csv", tag, NOW)?;
    let (mut rest, mut no) = (file, 0);
    while !rest.is_empty() {
        // The first chunk holds the header and something to tell the dialect by, as in life.
        let size = sizes[no % sizes.len()] + if no == 0 { 150 } else { 0 };
        let (chunk, later) = rest.split_at(size.min(rest.len()));
        import::add_chunk(db, id, no as i64, chunk.to_vec(), NOW)?;
        (rest, no) = (later, no + 1);
    }
    import::end_upload(db, id, NOW).map(|()| id)
}

/// One instance: both stages, step by step, until there is nothing to do.
fn work(db: &dyn Db) -> Result<()> {
    let stages: [&dyn Stage; 2] = [&Ingest, &Merge];
    for stage in stages {
        while stage.step(db, NOW, &mut || Ok(()))? {}
    }
    Ok(())
}

/// Imports files, dying after each number of statements; returns all there is then.
fn imported(
    engine: Engine,
    files: &[String],
    sizes: &[usize],
    tag: Option<&str>,
    deaths: &[u64],
) -> Vec<String> {
    let stores = Stores::on(engine);
    let db = stores.open(&Place::Slot(1)).expect("a tenant");
    migrate(&*db, TENANT).expect("the schema is valid");
    let stop = "insert into suppression (value, reason, created_at) values ('stop@x.test', 'unsubscribed', 0)";
    db.execute(stop, &[]).expect("kept");
    let mut deaths = deaths.iter();
    for file in files {
        let id = upload(&*db, file.as_bytes(), sizes, tag).expect("kept");
        loop {
            if let Some(statements) = deaths.next() {
                stores.die_after(*statements);
            }
            let worked = work(&*db);
            let died = stores.revive();
            match worked {
                Ok(()) if !died => break,
                Err(Error::Other(_)) if died => {}
                other => panic!("{other:?}, died: {died}"),
            }
        }
        let end = import::get(&*db, id)
            .expect("an answer")
            .expect("an import");
        assert_eq!(end.status, "done", "{end:?}");
        let ended = end.created + end.updated + end.unchanged + end.skipped + end.failed;
        assert_eq!((end.total, end.merged), (ended, ended), "{end:?}");
    }
    // Where a chunk ended shows in nothing but the cursor.
    db.execute("update import set chunk_no = 0, chunk_offset = 0, merge_chunk = 0, merge_offset = 0, merge_line = 0", &[])
        .expect("kept");
    // Numbers that PostgreSQL gave to what was rolled back are not given again.
    let mut all = dump(
        &*db,
        &["event", "tag", "lead_tag", "import_chunk", "import_batch"],
    );
    for text in [
        "select e.at, e.kind, e.lead_id, t.name, e.import_id from event e left join tag t on t.id = e.tag_id order by e.lead_id, e.id",
        "select t.name, t.folded, t.created_at, x.lead_id, x.at, x.source from tag t left join lead_tag x on x.tag_id = t.id \
         order by t.folded, x.lead_id",
    ] {
        let rows = db.query(text, &[]).expect("rows");
        all.extend(rows.iter().map(|r| format!("{:?}", r.0)));
    }
    all
}

/// All leads, what they are found by, and their tags.
fn leads(db: &dyn Db) -> Vec<String> {
    let texts = [
        "select * from lead order by id",
        "select * from lead_key order by kind, value",
        "select * from lead_tag order by tag_id, lead_id",
    ];
    let rows = |text: &&str| db.query(text, &[]).expect("rows");
    let rows = texts.iter().flat_map(rows);
    rows.map(|r| format!("{:?}", r.0)).collect()
}

/// Imports one file, then another that is taken back, dying after each number of statements; returns all leads before
/// and after the second.
fn taken_back(
    engine: Engine,
    files: &[String; 2],
    sizes: &[usize],
    tag: Option<&str>,
    deaths: &[u64],
) -> [Vec<String>; 2] {
    let stores = Stores::on(engine);
    let db = stores.open(&Place::Slot(1)).expect("a tenant");
    migrate(&*db, TENANT).expect("the schema is valid");
    upload(&*db, files[0].as_bytes(), sizes, Some("Old")).expect("kept");
    work(&*db).expect("no fault");
    let before = leads(&*db);
    let id = upload(&*db, files[1].as_bytes(), sizes, tag).expect("kept");
    work(&*db).expect("no fault");
    assert!(undo::begin(&*db, id, NOW).expect("an answer"));
    assert!(!undo::begin(&*db, id, NOW).expect("an answer"), "once");
    for statements in deaths.iter().copied().chain([u64::MAX]) {
        stores.die_after(statements);
        let worked = work(&*db);
        if !stores.revive() {
            worked.expect("no fault");
        }
    }
    let end = import::get(&*db, id)
        .expect("an answer")
        .expect("an import");
    assert_eq!(end.status, "undone", "{end:?}");
    assert_eq!(undo::kept(&*db, id, 10).expect("rows"), []);
    [before, leads(&*db)]
}

/// SQLite mostly: PostgreSQL takes its time.
fn engine() -> impl Strategy<Value = Engine> {
    prop_oneof![5 => Just(Engine::Sqlite), 1 => Just(Engine::Postgres)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_import_that_is_taken_back_never_was(
        engine in engine(),
        files in [file(), file()],
        sizes in prop::collection::vec(16usize..400, 1..4),
        deaths in prop::collection::vec(0u64..30, 0..6),
        tagged in any::<bool>(),
    ) {
        let tag = tagged.then_some("Hot");
        let [before, after] = taken_back(engine, &files, &sizes, tag, &deaths);
        prop_assert_eq!(before, after);
    }

    #[test]
    fn an_import_that_dies_anywhere_ends_the_same(
        engine in engine(),
        files in prop::collection::vec(file(), 1..3),
        // No record may outgrow the chunks that are read at once; a real one has 256 KiB.
        sizes in prop::collection::vec(16usize..400, 1..6),
        deaths in prop::collection::vec(0u64..40, 0..25),
        tagged in any::<bool>(),
    ) {
        let tag = tagged.then_some("Hot");
        // One engine's end is the other's, too.
        let undisturbed = imported(Engine::Sqlite, &files, &[1 << 18], tag, &[]);
        prop_assert_eq!(imported(engine, &files, &sizes, tag, &deaths), undisturbed);
    }
}
