//! Every kind of bad file gives a right import, or a clear error on the row or the file; the process stays up.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};
use tests::harness::{Agency, Reply, Sluice, Sub, people};

/// What a file must come to.
enum Expect {
    /// So many leads are made, and so many rows fail with these codes, in order.
    Rows(u64, &'static [&'static str]),
    /// The file as such fails, and the reason holds this word.
    Failed(&'static str),
    /// Either, as long as it is said.
    EmptyOrFailed,
}
use Expect::{EmptyOrFailed, Failed, Rows};

fn cases() -> Vec<(&'static str, Vec<u8>, Expect)> {
    let long = format!(
        "email,notes\nlong@x.test,{}\nshort@x.test,y\n",
        "x".repeat(1_000_000)
    );
    let utf16 = |bytes: fn(u16) -> [u8; 2], bom: bool| {
        let text = "email,first_name\nutf16@x.test,Zoë 😀\n"
            .replace("utf16", if bom { "bom16" } else { "big16" });
        let text = if bom { format!("\u{feff}{text}") } else { text };
        text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()
    };
    let latin: Vec<u8> = "email;first_name\nlatin@x.test;Zoë Müller\n"
        .chars()
        .map(|c| c as u8)
        .collect();
    let mut binary = b"\x7fELF\x02\x01\x01\0".to_vec();
    binary.extend((0..5000u32).map(|i| u8::try_from(i * 7 % 256).unwrap()));
    let text = |s: &str| s.as_bytes().to_vec();
    vec![
        (
            "bom and crlf",
            text("\u{feff}email,first_name\r\nbom@x.test,Zoë\r\n"),
            Rows(1, &[]),
        ),
        (
            "quoted newlines",
            text("email,job_title\r\nquoted@x.test,\"Head, of\r\n\"\"Sales\"\"\"\r\n"),
            Rows(1, &[]),
        ),
        (
            "old mac lines",
            text("email,first_name\rmac1@x.test,A\rmac2@x.test,B\r"),
            Rows(2, &[]),
        ),
        (
            "ragged",
            text("email,first_name\nshortrow@x.test\nfine@x.test,A\nwide@x.test,A,B,C\n"),
            Rows(2, &["too_many_cells"]),
        ),
        (
            "double headers",
            text("email,note,,note,Email\ndouble@x.test,a,b,c,other@x.test\n"),
            Rows(1, &[]),
        ),
        (
            "no header",
            text("head1@x.test,Ann\nhead2@x.test,Bob\n"),
            Rows(2, &[]),
        ),
        ("no last line end", text("email\nlast@x.test"), Rows(1, &[])),
        (
            "invalid utf-8",
            b"email,first_name\nzo\xc3\xab@x.test,Zo\xc3\xab\nbroken@x.test,A\xff\xfeB\xc3(\n"
                .to_vec(),
            Rows(1, &["invalid_utf8"]),
        ),
        ("latin-1", latin, Rows(1, &[])),
        (
            "utf-16 with bom",
            utf16(u16::to_le_bytes, true),
            Rows(1, &[]),
        ),
        (
            "utf-16 big-endian",
            utf16(u16::to_be_bytes, false),
            Rows(1, &[]),
        ),
        (
            "semicolons",
            text("email;first_name;company\nsemi@x.test;A;\"B, C\"\n"),
            Rows(1, &[]),
        ),
        (
            "tabs",
            text("email\tfirst_name\ntab@x.test\tA\n"),
            Rows(1, &[]),
        ),
        (
            "nul bytes",
            b"email,first_name\nnul@x.test,A\0B\nnonul@x.test,C\n".to_vec(),
            Rows(1, &["nul_byte"]),
        ),
        (
            "a cell of 1 MB",
            long.into_bytes(),
            Rows(1, &["cell_too_long"]),
        ),
        (
            "blank lines",
            text("email\n\n\nblank1@x.test\n\n,\nblank2@x.test\n"),
            Rows(2, &[]),
        ),
        (
            "no identity",
            text("email,first_name\n,Ann\nnot an address,Bob\nid@x.test,Eve\n"),
            Rows(1, &["no_identity", "invalid_email"]),
        ),
        (
            "the same twice",
            text("email,first_name\ntwice@x.test,A\nTWICE@x.test,B\n"),
            Rows(1, &[]),
        ),
        ("zero rows", text("email,first_name\n"), EmptyOrFailed),
        ("nothing", Vec::new(), EmptyOrFailed),
        (
            "a pdf",
            text("%PDF-1.7\n%\u{e2}\u{e3}\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"),
            Failed("PDF"),
        ),
        (
            "a workbook",
            b"PK\x03\x04\x14\0\x06\0\x08\0xl/workbook.xml".to_vec(),
            Failed("Excel"),
        ),
        ("a program", binary, Failed("")),
    ]
}

#[test]
fn bad_files_end_in_right_rows_or_clear_errors() {
    let sluice = Sluice::start();
    let sub = Agency::sign_up(&sluice).subaccount("Acme");
    let uploads: Vec<_> = cases()
        .into_iter()
        .map(|(name, bytes, expect)| {
            (
                name,
                sub.http
                    .post_bytes("/api/v1/imports?tag=bad", "text/csv", &bytes),
                expect,
            )
        })
        .collect();
    for (name, reply, expect) in uploads {
        check(&sub, name, &reply, &expect);
    }

    let lead = |email: &str| {
        sub.leads(&format!("email={email}"))
            .pop()
            .unwrap_or_else(|| panic!("{email}"))
    };
    assert_eq!(lead("bom@x.test")["first_name"], "Zoë");
    assert_eq!(lead("latin@x.test")["first_name"], "Zoë Müller");
    assert_eq!(lead("bom16@x.test")["first_name"], "Zoë 😀");
    assert_eq!(lead("big16@x.test")["first_name"], "Zoë 😀");
    assert_eq!(lead("semi@x.test")["company"], "B, C");
    assert_eq!(lead("twice@x.test")["first_name"], "B");
    let title = lead("quoted@x.test")["job_title"]
        .as_str()
        .unwrap()
        .replace("\r\n", "\n");
    assert_eq!(title, "Head, of\n\"Sales\"");
    let double = lead("double@x.test")["data"].to_string();
    assert!(
        ["\"a\"", "\"b\"", "\"c\"", "other@x.test"]
            .iter()
            .all(|cell| double.contains(cell)),
        "{double}"
    );
    assert!(sluice.is_up());
}

fn check(sub: &Sub, name: &str, reply: &Reply, expect: &Expect) {
    if reply.status != 202 {
        let refused =
            matches!(expect, Failed(_) | EmptyOrFailed) && (400..500).contains(&reply.status);
        assert!(refused, "{name}: {} {}", reply.status, reply.text());
        return;
    }
    let id = reply.json()["id"].clone();
    let end = sub.import_end(&id);
    let rows = |field: &str| {
        end["rows"][field]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {end}"))
    };
    let parts = ["created", "updated", "unchanged", "skipped", "failed"];
    match expect {
        Rows(created, codes) => {
            assert_eq!(end["status"], "done", "{name}: {end}");
            assert_eq!(
                rows("created"),
                *created,
                "{name}: {end}\n{}",
                sub.errors_csv(&id)
            );
            assert_eq!(
                rows("failed"),
                codes.len() as u64,
                "{name}: {end}\n{}",
                sub.errors_csv(&id)
            );
            assert_eq!(
                rows("total"),
                parts.into_iter().map(rows).sum::<u64>(),
                "{name}: {end}"
            );
            let errors = sub.errors_csv(&id);
            codes
                .iter()
                .for_each(|code| assert!(errors.contains(code), "{name}: {errors}"));
        }
        Failed(word) => {
            assert_eq!(end["status"], "failed", "{name}: {end}");
            assert!(reason(&end).contains(word), "{name}: {end}");
        }
        EmptyOrFailed if end["status"] == "failed" => {
            assert!(!reason(&end).is_empty(), "{name}: {end}")
        }
        EmptyOrFailed => assert_eq!(rows("total"), 0, "{name}: {end}"),
    }
}

fn reason(import: &Value) -> &str {
    import["reason"].as_str().unwrap_or_default()
}

#[test]
fn failed_rows_come_back_as_they_were_with_their_error() {
    let sluice = Sluice::start();
    let sub = Agency::sign_up(&sluice).subaccount("Acme");
    let csv = "email,first_name,note\nfine@x.test,A,\nnobody,\"B \"\"b\"\"\",\"x,\ny\"\n";
    let id = sub.upload("tag=bad", csv);
    sub.import_end(&id);
    let errors = sub.errors_csv(&id).replace("\r\n", "\n");
    let (header, row) = errors
        .trim_start_matches('\u{feff}')
        .split_once('\n')
        .unwrap();
    assert_eq!(header, "email,first_name,note,error_code,error,row");
    assert!(
        row.starts_with("nobody,\"B \"\"b\"\"\",\"x,\ny\",invalid_email,"),
        "{row}"
    );

    // Corrected in place, the error file is an import like any other.
    let fixed = errors.replace("nobody", "somebody@x.test");
    let end = sub.import("tag=fixed", fixed);
    assert_eq!(end["rows"]["created"], 1, "{end}");
}

#[test]
fn an_upload_that_breaks_off_imports_nothing() {
    let sluice = Sluice::start();
    let agency = Agency::sign_up(&sluice);
    let sub = agency.subaccount("Acme");
    let key = agency
        .browser
        .post("/api/v1/api-keys", &json!({"name": "raw"}))
        .expect(201)
        .json();
    let address = sluice.url().trim_start_matches("http://").to_owned();
    let path = sub.http.base().trim_start_matches(&sluice.url()).to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(
        stream,
        "POST {path}/api/v1/imports?tag=broken HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: text/csv\r\nContent-Length: 1000000\r\n\r\n{}",
        key["key"].as_str().unwrap(),
        people("broken", 500)
    )
    .unwrap();
    stream.flush().unwrap();
    stream.shutdown(Shutdown::Both).unwrap();

    let end = sub.import("tag=whole", people("whole", 500));
    assert_eq!(end["rows"]["created"], 500, "{end}");
    assert_eq!(sub.leads("tag=broken").len(), 0);
}
