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

/// The configuration that was read before; none before the first call was answered.
pub fn known() -> Option<&'static Config> {
    CONFIG.get()
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
        node_id: text("node_id").await,
        node_credential: text("node_credential").await,
        master_public_key: text("master_public_key").await,
        worker_token: text("worker_token").await,
        secret_key: text("secret_key").await,
        resolver_url: text("resolver_url").await.trim_end_matches('/').to_owned(),
        forward_url: text("forward_url").await,
        master_database: text("master_database").await,
        control_database: text("control_database").await,
        tenant_database: text("tenant_database").await,
        slots: text("slots").await.parse().unwrap_or(0),
        confirm_required: text("confirm_email").await == "required",
        password_turns: text("password_turns").await.parse().unwrap_or(2),
        mail_from: text("mail_from").await,
        delete_grace_days: text("delete_grace_days").await.parse().unwrap_or(7),
        node_url: text("node_url").await.trim_end_matches('/').to_owned(),
        host_status_url: text("host_status_url").await,
        demo: Some(demo).filter(|(email, _)| !email.is_empty()),
    }
}

async fn text(name: &str) -> String {
    variables::get(name).await.unwrap_or_default()
}
