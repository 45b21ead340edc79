//! Is a Job that the API server does not take refused for good, or for the moment?

use kube::core::Status;

use super::Made;

/// What the quota plugin says of a request that another time may be taken: what is there may end, the quota may
/// be raised or matched, and its own count may come.
const OF_QUOTA: [&str; 4] = [
    "exceeded quota",
    "failed quota",
    "status unknown for quota",
    "insufficient quota to match these scopes",
];

/// What an answer says of what was asked for; none where it tells of the server's own trouble.
pub(super) fn of(answer: &Status) -> Option<Made> {
    let says = |it: &&str| answer.message.contains(*it);
    match answer.code {
        403 if OF_QUOTA.iter().any(says) => {
            Some(Made::blocked("QuotaExceeded", answer.message.clone()))
        }
        // Of a namespace that is going, or not there: the trigger goes with it, or it comes back.
        403 if says(&"being terminated") => {
            Some(Made::blocked("NamespaceTerminating", answer.message.clone()))
        }
        // The authorizer's word. An API server that has just begun knows no roles for a moment, and a
        // role can be mended: no change is lost for it.
        403 if says(&"cannot create resource") => {
            Some(Made::blocked("Forbidden", answer.message.clone()))
        }
        404 => Some(Made::blocked("NamespaceMissing", answer.message.clone())),
        400 | 403 | 422 => Some(Made::Refused { message: answer.message.clone() }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, message: &str) -> Option<Made> {
        of(&Status::failure(message, "").with_code(code))
    }

    /// Found on a real API server that was restarted while a run was due.
    #[test]
    fn what_the_authorizer_refuses_waits_and_what_admission_refuses_ends() {
        let role = "jobs.batch is forbidden: User \"system:serviceaccount:a:b\" cannot create \
            resource \"jobs\" in API group \"batch\" in the namespace \"apps\"";
        let hook = "admission webhook \"policy.test\" denied the request: no";

        let by_role = answer(403, role);
        let by_hook = answer(403, hook);

        assert!(matches!(by_role, Some(Made::Blocked { reason: "Forbidden", .. })), "{by_role:?}");
        assert!(matches!(by_hook, Some(Made::Refused { .. })), "{by_hook:?}");
        assert!(answer(500, "etcdserver: leader changed").is_none());
    }

    /// The words are those of Kubernetes' quota plugin, behind `jobs.batch \"x\" is forbidden: `.
    #[test]
    fn whatever_a_quota_refuses_waits_for_it() {
        for words in [
            "exceeded quota: few, requested: count/jobs.batch=1, used: count/jobs.batch=2, limited: \
             count/jobs.batch=2",
            "status unknown for quota: few, resources: count/jobs.batch",
            "failed quota: few: must specify limits.cpu for: action-worker",
            "insufficient quota to match these scopes: [{PriorityClass In [high]}]",
        ] {
            let refused = answer(403, &format!("jobs.batch \"x\" is forbidden: {words}"));

            let waits = matches!(refused, Some(Made::Blocked { reason: "QuotaExceeded", .. }));
            assert!(waits, "{words}: {refused:?}");
        }
    }
}
