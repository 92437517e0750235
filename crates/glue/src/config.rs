//! Configuration from the application's variables, read once an instance. It holds nothing of any tenant.

use std::sync::OnceLock;

use spin_sdk::variables;
use web::Config;

static CONFIG: OnceLock<Config> = OnceLock::new();

/// The configuration. A variable that the manifest does not give to this component is empty.
pub async fn config() -> &'static Config {
    if let Some(config) = CONFIG.get() {
        return config;
    }
    let config = read().await;
    CONFIG.get_or_init(|| config)
}

/// The configuration in a scheduled call, which must not wait. Hosts answer for variables at once; if one does not, the
/// tick fails and the next tries again.
pub fn config_now() -> Option<&'static Config> {
    futures::FutureExt::now_or_never(config())
}

async fn read() -> Config {
    let demo = (text("demo_email").await, text("demo_password").await);
    Config {
        public_url: text("public_url").await.trim_end_matches('/').to_owned(),
        master_url: text("master_url").await.trim_end_matches('/').to_owned(),
        master_api_url: text("master_api_url")
            .await
            .trim_end_matches('/')
            .to_owned(),
        slave_url: text("slave_url").await.trim_end_matches('/').to_owned(),
        node_secret: text("node_secret").await,
        worker_token: text("worker_token").await,
        secret_key: text("secret_key").await,
        slots: text("slots").await.parse().unwrap_or(0),
        demo: Some(demo).filter(|(email, _)| !email.is_empty()),
    }
}

async fn text(name: &str) -> String {
    variables::get(name).await.unwrap_or_default()
}
