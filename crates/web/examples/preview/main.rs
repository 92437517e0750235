//! Renders every page with plausible data into a folder, to look at:
//! `cargo run -p web --example preview [FOLDER]` (default /tmp/sluice-preview).

mod sample;

use std::{env, fs, io, path::PathBuf};

use web::{pages, totp};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(
        env::args()
            .nth(1)
            .unwrap_or("/tmp/sluice-preview".to_owned()),
    );
    let files = folder.join("static");
    fs::create_dir_all(&files)?;
    for asset in pages::assets::ASSETS {
        fs::write(files.join(asset.name), asset.bytes)?;
    }
    for (name, html) in sample::all("Ana Ruiz") {
        // The pages name their files from the root of a host; here they lie beside them.
        let html = html.replace("=\"/s/harbour/static/", "=\"static/");
        let html = html.replace("=\"/static/", "=\"static/");
        fs::write(folder.join(format!("{name}.html")), html)?;
    }
    fs::write(folder.join("import-fragment.html"), sample::fragment())?;
    println!("{}", folder.display());
    Ok(())
}
