//! Ticks of stages, fired by a schedule or by HTTP.

use spin_sdk::http::Request as SpinRequest;
use stages::run::{self, Stage, Tick};
use web::{Config, Response, auth};

use crate::convert::{SpinResponse, answer, head};
use crate::{Labels, now};

/// Does a stage's work for the tenants of this slave.
///
/// # Errors
/// When the slave's database does not answer.
pub fn stage(stage: &dyn Stage) -> Result<String, String> {
    let tick = Tick {
        stores: &Labels,
        clock: &now,
        token: web::context::random_text(12),
    };
    let summary = run::run(stage, &tick).map_err(|e| e.to_string())?;
    for (tenant, reason) in &summary.failures {
        eprintln!("{} of {tenant}: {reason}", stage.name());
    }
    Ok(format!(
        "{} steps in {} tenants, {} failures",
        summary.steps,
        summary.tenants,
        summary.failures.len()
    ))
}

/// Fires a tick by HTTP: for schedulers other than Spin's cron. The caller shows the secret of the nodes.
pub async fn http(
    request: SpinRequest,
    work: impl FnOnce(&Config) -> Result<String, String>,
) -> SpinResponse {
    let config = crate::config::config().await;
    let (head, _) = head(request);
    if let Err(problem) = auth::require_secret(&head, &config.node_secret) {
        return answer(problem.into_response());
    }
    answer(match work(config) {
        Ok(done) => Response::json(200, &serde_json::json!({"done": done})),
        Err(reason) => {
            eprintln!("tick: {reason}");
            web::Problem::new(500, "The tick failed")
                .detail(reason)
                .into_response()
        }
    })
}

/// Exports a scheduled component: Spin's cron function and an HTTP handler that do the same. `$work` is a function from
/// the configuration to what was done.
#[macro_export]
macro_rules! scheduled {
    ($work:expr) => {
        use $crate::spin_sdk;

        #[spin_sdk::http_service]
        async fn tick(request: spin_sdk::http::Request) -> $crate::convert::SpinResponse {
            $crate::tick::http(request, $work).await
        }

        mod cron {
            #![allow(missing_docs, unsafe_code)]
            $crate::spin_sdk::wit_bindgen::generate!({
                world: "spin-cron",
                path: "../../wit/cron.wit",
                runtime_path: "::glue::spin_sdk::wit_bindgen::rt",
            });

            struct Component;
            export!(Component);

            impl Guest for Component {
                fn handle_cron_event(_: Metadata) -> Result<(), Error> {
                    let config = $crate::config::config_now().ok_or_else(|| Error::Other("the variables are not at hand".to_owned()))?;
                    super::work(config).map(|_| ()).map_err(Error::Other)
                }
            }
        }

        fn work(config: &web::Config) -> Result<String, String> {
            $work(config)
        }
    };
}
