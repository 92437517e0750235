//! Files of plausible people.

use std::fmt::Write;

const FIRST: [&str; 8] = [
    "Ada", "Björn", "Chloé", "Dmitri", "Eve", "Fatima", "Grace", "Hé",
];
const LAST: [&str; 7] = [
    "Lovelace",
    "Ångström",
    "O'Neil",
    "Núñez",
    "Smith",
    "van der Berg",
    "Zhang",
];
const JOBS: [&str; 5] = ["CEO", "Head of Sales", "Engineer", "Buyer, EMEA", "CTO"];

/// A CSV with a header line and `count` people; `prefix` makes their addresses unique.
pub fn people(prefix: &str, count: usize) -> String {
    let mut csv = String::from(
        "email,first_name,last_name,job_title,company,phone,country,linkedin,segment\r\n",
    );
    for i in 0..count {
        let (first, last) = (FIRST[i % FIRST.len()], LAST[i % LAST.len()]);
        let job = JOBS[i % JOBS.len()];
        let company = i / 3;
        writeln!(
            csv,
            "{prefix}{i}@company{company}.test,{first},{last},\"{job}\",Company {company},+1555{i:07},US,\
             https://linkedin.com/in/{prefix}{i},s{}\r",
            i % 4
        )
        .expect("memory");
    }
    csv
}
