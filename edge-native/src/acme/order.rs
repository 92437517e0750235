//! One order: from a name to a certificate and its key.

use crate::serve::edge::Challenges;
use anyhow::{Context, Result, bail};
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewOrder, Order, OrderStatus,
    RetryPolicy,
};
use std::time::Duration;

/// An authority decides within this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Gets a certificate for a name; the key and the chain, in PEM.
pub async fn obtain(account: &Account, name: &str, challenges: &Challenges) -> Result<String> {
    let names = [Identifier::Dns(name.to_owned())];
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    let mut shown = Shown {
        challenges,
        tokens: Vec::new(),
    };
    prove(&mut order, &mut shown).await?;
    let patience = RetryPolicy::new().timeout(PATIENCE);
    let ready = order.poll_ready(&patience).await;
    if !matches!(ready, Ok(OrderStatus::Ready)) {
        let reason = refusal(&mut order).await;
        match (reason, ready) {
            (Some(reason), _) => bail!("the authority refused: {reason}"),
            (None, Err(error)) => return Err(error).context("the authority refused the order"),
            (None, Ok(status)) => bail!("the order ended as {status:?}"),
        }
    }
    let key = order
        .finalize()
        .await
        .context("the request for the certificate")?;
    let chain = order.poll_certificate(&patience).await;
    let chain = chain.context("the certificate was not issued")?;
    Ok(format!("{}\n{}\n", key.trim_end(), chain.trim_end()))
}

/// Whether the authority said that it was asked too often (RFC 8555, 6.6).
pub fn is_too_often(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| match cause.downcast_ref() {
        Some(instant_acme::Error::Api(problem)) => {
            problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:rateLimited")
        }
        _ => false,
    })
}

/// Shows the authority what it asks for.
async fn prove(order: &mut Order, shown: &mut Shown<'_>) -> Result<()> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Valid => continue,
            status => bail!("the authority has a proof of the name that is {status:?}"),
        }
        let mut challenge = authorization
            .challenge(ChallengeType::Http01)
            .context("the authority takes no proof by HTTP")?;
        shown.put(&challenge.token, challenge.key_authorization().as_str());
        challenge.set_ready().await?;
    }
    Ok(())
}

/// Why an authority does not believe a proof.
async fn refusal(order: &mut Order) -> Option<String> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.ok()?;
        let state = authorization.refresh().await.ok()?;
        let error = state
            .challenges
            .iter()
            .find_map(|challenge| challenge.error.as_ref());
        if let Some(error) = error {
            return Some(error.detail.clone().unwrap_or_else(|| error.to_string()));
        }
    }
    None
}

/// Answers that are shown until the order is over.
struct Shown<'c> {
    challenges: &'c Challenges,
    tokens: Vec<String>,
}

impl Shown<'_> {
    fn put(&mut self, token: &str, answer: &str) {
        self.challenges.put(token, answer);
        self.tokens.push(token.to_owned());
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        for token in &self.tokens {
            self.challenges.remove(token);
        }
    }
}
