//! The product on a PostgreSQL server: master, control database and tenants, each in a database of its own.

use serde_json::json;
use testkit::postgres::{Kind, Scratch, server};
use tests::harness::{Agency, LONG, Options, SOON, Sink, eventually_true, people};

#[test]
fn everything_may_live_on_postgres_and_outlives_its_connections() {
    let (master, control) = (Scratch::new(Kind::Empty), Scratch::new(Kind::Empty));
    let variable = |name: &str, database: &str| {
        let value = server().dsn(database);
        format!("{name}={value}")
    };
    let sluice = [
        variable("master_database", master.name()),
        variable("control_database", control.name()),
        variable("tenant_database", "postgres"),
    ]
    .into_iter()
    .fold(Options::default(), |options, set| {
        options.argument("--variable").argument(set)
    })
    .start();
    let sink = Sink::start();
    let agency = Agency::sign_up(&sluice);
    let (sub, other) = (agency.subaccount("Acme"), agency.subaccount("Other"));
    sub.profile(&sink);
    sub.rule("hot", "Hello {{first_name}}", "Dear {{first_name}},\n");
    sub.import("name=people&tag=hot", people("ann", 40));

    // The server ends every connection, as it does when it is restarted.
    server().run(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename is not null and pid <> pg_backend_pid() \
         and application_name = 'sluice'",
    );
    sink.wait_for(40);
    let requests = sub.ended_requests(40, LONG);
    assert!(
        requests.iter().all(|r| r["status"] == "performed"),
        "{requests:?}"
    );
    eventually_true("40 on the timeline", SOON, || {
        sub.timeline("outreach_performed") == 40
    });
    assert_eq!(
        sub.import("name=again&tag=hot", people("ann", 40))["rows"]["unchanged"],
        json!(40)
    );
    assert_eq!(sink.mails().len(), 40, "nothing is mailed twice");
    assert_eq!(sub.leads("tag=hot").len(), 40);
    assert_eq!(
        other.leads("").len(),
        0,
        "the other tenant has a database of its own"
    );
    for sub in [&sub, &other] {
        let database = format!("t_{}", sub.id.replace('-', ""));
        let known = "do $$ begin if not exists (select 1 from pg_database d join pg_roles r on r.oid = d.datdba \
             where datname = '{}' and rolname = '{}') then raise exception 'none'; end if; end $$";
        server().run(&known.replace("{}", &database));
    }
    for label in ["master", "slave", "slot001"] {
        let file = sluice.data().join(format!("sqlite/{label}.db"));
        assert!(!file.exists(), "{} was made", file.display());
    }
}
