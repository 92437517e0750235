//! The two engines have the same tables, columns and indexes, and a database that grew has the schema of a new one.

use store::migrate::{MASTER, Migration, SLAVE, TENANT, migrate};
use store::{Db, Engine};
use testkit::postgres::Kind;
use testkit::{ENGINES, new, on_both, tables};

const KINDS: [(&str, &[Migration]); 3] = [("master", MASTER), ("slave", SLAVE), ("tenant", TENANT)];

fn lines(db: &dyn Db, sql: &str) -> Vec<String> {
    let rows = db.query(sql, &[]).expect("a schema");
    let mut lines: Vec<_> = rows
        .into_iter()
        .map(|mut r| {
            (0..r.0.len())
                .map(|i| r.text(i))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    lines.sort();
    lines
}

/// Columns with type and whether they take NULL, indexes with their columns, references: by names that both engines use.
fn schema(db: &dyn Db) -> Vec<String> {
    let mut all = Vec::new();
    for table in tables(db) {
        let texts = match db.engine() {
            Engine::Sqlite => [
                format!(
                    "select 'column', '{table}', name, case lower(type) when 'integer' then 'bigint' when 'blob' then 'bytea' \
                     when 'real' then 'double precision' else lower(type) end, \
                     case when \"notnull\" = 1 or pk > 0 then 'not null' else 'null' end from pragma_table_info('{table}')"
                ),
                format!(
                    "select 'key', '{table}', group_concat(name, ',') from \
                     (select name from pragma_table_info('{table}') where pk > 0 order by pk) having count(*) > 0"
                ),
                format!(
                    "select 'index', '{table}', case when l.origin = 'c' then l.name else '' end, l.\"unique\", l.partial, \
                     (select group_concat(name, ',') from (select name from pragma_index_info(l.name) order by seqno)) \
                     from pragma_index_list('{table}') l where l.origin <> 'pk'"
                ),
                format!(
                    "select 'reference', '{table}', \"from\", \"table\", lower(on_delete) from pragma_foreign_key_list('{table}')"
                ),
            ],
            Engine::Postgres => [
                format!(
                    "select 'column', '{table}', cast(column_name as text), cast(data_type as text), \
                     case when is_nullable = 'NO' then 'not null' else 'null' end \
                     from information_schema.columns where table_schema = 'public' and table_name = '{table}'"
                ),
                format!(
                    "select 'key', '{table}', (select string_agg(cast(a.attname as text), ',' order by k.n) \
                     from unnest(c.conkey) with ordinality k (at, n) join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.at) \
                     from pg_constraint c where c.contype = 'p' and c.conrelid = cast('\"{table}\"' as regclass)"
                ),
                format!(
                    "select 'index', '{table}', case when exists (select 1 from pg_constraint c where c.conindid = i.indexrelid) \
                     then '' else cast(n.relname as text) end, cast(i.indisunique as int), \
                     cast(i.indpred is not null as int), (select string_agg(cast(a.attname as text), ',' order by k.n) \
                     from unnest(cast(i.indkey as int2[])) with ordinality k (at, n) \
                     join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.at) \
                     from pg_index i join pg_class n on n.oid = i.indexrelid \
                     where i.indrelid = cast('\"{table}\"' as regclass) and not i.indisprimary"
                ),
                format!(
                    "select 'reference', '{table}', cast(a.attname as text), cast(t.relname as text), \
                     case c.confdeltype when 'c' then 'cascade' when 'n' then 'set null' else 'no action' end \
                     from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1] \
                     join pg_class t on t.oid = c.confrelid \
                     where c.contype = 'f' and c.conrelid = cast('\"{table}\"' as regclass)"
                ),
            ],
        };
        for text in texts {
            all.extend(lines(db, &text));
        }
    }
    all
}

#[test]
fn both_engines_have_the_same_schema() {
    for kind in [Kind::Master, Kind::Slave, Kind::Tenant] {
        let [sqlite, postgres] = ENGINES.map(|engine| schema(&*new(engine, kind)));
        assert!(sqlite.len() > 10, "{sqlite:?}");
        let only = |a: &[String], b: &[String]| -> Vec<String> {
            a.iter().filter(|line| !b.contains(line)).cloned().collect()
        };
        assert_eq!(
            (only(&sqlite, &postgres), only(&postgres, &sqlite)),
            (vec![], vec![]),
            "{kind:?}: only in SQLite, only in PostgreSQL"
        );
    }
}

/// What a database of the first version may hold.
const DATA: [(&str, &[&str]); 3] = [
    (
        "master",
        &[
            "insert into account (id, name, created_at) values ('a', 'Acme', 1)",
            "insert into user (id, account_id, email, password_hash, created_at) values ('u', 'a', 'u@x.test', 'x', 1)",
            "insert into session (token_hash, user_id, created_at, expires_at) values ('s', 'u', 1, 2)",
            "insert into api_key (id, account_id, user_id, name, prefix, key_hash, created_at) values ('k', 'a', 'u', 'K', 'sl', 'h', 1)",
            "insert into login_attempt (email, failures, blocked_until) values ('u@x.test', 1, 2)",
            "insert into subaccount (id, account_id, name, status, next_attempt_at, created_at, updated_at) \
             values ('s1', 'a', 'One', 'active', 1, 1, 1)",
        ],
    ),
    (
        "slave",
        &[
            "insert into tenant (id, account_id, name, slot, schema_version, created_at) values ('s1', 'a', 'One', 3, 1, 1)",
            "insert into tenant_work (tenant_id, stage, due_at, marked_at, lease_until) values ('s1', 'plan', 5, 6, 7)",
        ],
    ),
    (
        "tenant",
        &[
            "insert into lead (id, email, created_at, updated_at) values (7, 'p@x.test', 1, 1)",
            "insert into lead_key (kind, value, lead_id) values ('email', 'p@x.test', 7)",
            "insert into event (at, kind, lead_id) values (1, 'lead_created', 7)",
        ],
    ),
];

/// What must still be there afterwards, whatever later versions add.
const KEPT: [(&str, &str, &str); 6] = [
    ("master", "select id, name from account", "a Acme"),
    (
        "master",
        "select id, account_id, email from user",
        "u a u@x.test",
    ),
    (
        "master",
        "select id, account_id, status from subaccount",
        "s1 a active",
    ),
    (
        "slave",
        "select id, account_id, name, slot, schema_version from tenant",
        "s1 a One 3 1",
    ),
    (
        "slave",
        "select tenant_id, stage, due_at, marked_at, lease_until from tenant_work",
        "s1 plan 5 6 7",
    ),
    (
        "tenant",
        "select l.id, k.value from lead l join lead_key k on k.lead_id = l.id",
        "7 p@x.test",
    ),
];

#[test]
fn a_database_that_grew_has_the_schema_of_a_new_one_and_its_data() {
    on_both(|engine| {
        for ((name, migrations), (_, data)) in KINDS.into_iter().zip(DATA) {
            let fresh = new(engine, Kind::Empty);
            migrate(&*fresh, migrations).expect("migrated");
            for version in 1..=migrations.len() {
                let old = new(engine, Kind::Empty);
                migrate(&*old, &migrations[..1]).expect("migrated");
                for statement in data {
                    old.execute(statement, &[]).expect(statement);
                }
                migrate(&*old, &migrations[..version]).expect("migrated");
                migrate(&*old, migrations).expect("migrated");
                assert_eq!(
                    schema(&*old),
                    schema(&*fresh),
                    "{name} from version {version}"
                );
                for (_, text, row) in KEPT.iter().filter(|k| k.0 == name) {
                    assert_eq!(
                        lines(&*old, text),
                        [*row],
                        "{name} from version {version}: {text}"
                    );
                }
            }
        }
    });
}

#[test]
fn a_tenants_work_goes_with_it() {
    on_both(|engine| {
        let db = new(engine, Kind::Slave);
        for statement in DATA[1].1 {
            db.execute(statement, &[]).expect(statement);
        }
        db.execute("delete from tenant where id = 's1'", &[])
            .expect("gone");
        assert_eq!(
            lines(&*db, "select tenant_id from tenant_work"),
            [] as [&str; 0]
        );
        let both = "insert into tenant (id, account_id, name, slot, database, created_at) values ('b', 'a', 'B', 1, 'x', 1)";
        assert!(matches!(
            db.execute(both, &[]),
            Err(store::Error::Constraint(_))
        ));
        let neither =
            "insert into tenant (id, account_id, name, created_at) values ('b', 'a', 'B', 1)";
        assert!(matches!(
            db.execute(neither, &[]),
            Err(store::Error::Constraint(_))
        ));
    });
}
