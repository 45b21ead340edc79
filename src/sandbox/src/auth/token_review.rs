//! Whose is this token? Others ask, who let somebody in with it.

use serde_json::{Value, json};

use crate::{
    auth::token,
    cluster::Cluster,
    object,
    refusal::{Refusal, Result},
};

/// The status of a `TokenReview`.
pub(crate) fn status(cluster: &Cluster, spec: &Value) -> Result<Value> {
    let shown = object::text(spec, "/token");
    if shown.is_empty() {
        return Err(Refusal::bad_request("token is required for TokenReview in authentication"));
    }
    let audiences = object::strings(&spec["audiences"]);
    Ok(match token::owner(cluster, shown, &audiences) {
        Ok((user, audiences)) => {
            json!({ "authenticated": true, "user": user.info(), "audiences": audiences })
        }
        Err(why) => json!({ "user": {}, "error": why }),
    })
}
