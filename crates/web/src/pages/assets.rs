//! The static files, embedded, each under a URL that changes with its content.
//!
//! Serve them at `{asset_base}/static/NAME`. When the query is the asset's own version the answer
//! may be cached for ever (`immutable`); otherwise revalidate with the version as the ETag.

/// One embedded file.
#[derive(Debug)]
pub struct Asset {
    /// File name, as in the URL.
    pub name: &'static str,
    /// Value for `Content-Type`.
    pub content_type: &'static str,
    /// The file.
    pub bytes: &'static [u8],
    /// Hash of the content, 16 hexadecimal digits once printed.
    pub hash: u64,
}

impl Asset {
    /// The version as the URL's query and the ETag carry it.
    #[must_use]
    pub fn version(&self) -> String {
        format!("{:016x}", self.hash)
    }
}

macro_rules! assets {
    ($($name:literal: $content_type:literal,)*) => {
        /// Every embedded file.
        #[allow(long_running_const_eval)]
        pub static ASSETS: &[Asset] = &[$({
            const BYTES: &[u8] = include_bytes!(concat!("../../static/", $name));
            #[allow(long_running_const_eval)]
            const HASH: u64 = fnv1a(BYTES);
            Asset { name: $name, content_type: $content_type, bytes: BYTES, hash: HASH }
        },)*];
    };
}

assets! {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "uPlot.iife.min.js": "text/javascript; charset=utf-8",
    "uPlot.min.css": "text/css; charset=utf-8",
    "logo.svg": "image/svg+xml",
    "strata.svg": "image/svg+xml",
    "vein.svg": "image/svg+xml",
    "LICENSES.txt": "text/plain; charset=utf-8",
}

/// The file of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// The URL of the file `name` below `asset_base`.
#[must_use]
pub fn url(asset_base: &str, name: &str) -> String {
    match find(name) {
        Some(asset) => format!("{asset_base}/static/{name}?v={:016x}", asset.hash),
        None => format!("{asset_base}/static/{name}"),
    }
}

// Computed while compiling: a version that is written by hand is forgotten by hand.
const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0100_0000_01b3);
        i += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_carries_the_hash_of_the_content() {
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        let css = find("app.css").expect("embedded");
        assert_eq!(
            url("/s/7", "app.css"),
            format!("/s/7/static/app.css?v={}", css.version())
        );
    }

    #[test]
    fn stylesheets_and_scripts_name_no_other_host() {
        for asset in ASSETS.iter().filter(|a| a.name.starts_with("app.")) {
            let text = std::str::from_utf8(asset.bytes).expect("text");
            assert!(
                !text.contains("http://") && !text.contains("https://"),
                "{}",
                asset.name
            );
        }
    }
}
