//! How long may a Pod take to end once its deletion is asked for?

use serde_json::Value;

use crate::object;

/// In seconds. What runs nowhere, or no longer, needs no time.
pub(crate) fn grace(pod: &Value, asked: Option<i64>) -> i64 {
    let nowhere = object::text(pod, "/spec/nodeName").is_empty();
    let ended = matches!(object::text(pod, "/status/phase"), "Succeeded" | "Failed");
    if nowhere || ended {
        return 0;
    }
    let own = || pod["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    let grace = asked.unwrap_or_else(own);
    if grace < 0 { 1 } else { grace }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_pod_that_may_run_takes_its_time() {
        let pod = |node: &str, phase: &str| {
            json!({
                "spec": {"nodeName": node, "terminationGracePeriodSeconds": 5},
                "status": {"phase": phase},
            })
        };

        assert_eq!(grace(&pod("a", "Running"), None), 5);
        assert_eq!(grace(&pod("a", "Pending"), Some(60)), 60);
        assert_eq!(grace(&pod("a", "Running"), Some(-3)), 1);
        assert_eq!(grace(&pod("", "Pending"), Some(60)), 0);
        assert_eq!(grace(&pod("a", "Failed"), None), 0);
    }
}
