//! Jobs as they are written: how large they may be, and what their policies may say.

use serde_json::{Value, json};

use crate::causes::causes;
use crate::ground::Ground;
use crate::job_bench::job;

/// What is wrong with a Job of such a spec.
async fn faults(ground: &Ground, spec: Value) -> Vec<String> {
    causes(&ground.post(&ground.path("batch/v1", "jobs"), &job(spec)).await)
}

/// Indexed Jobs have a limit of what runs at once, and of the failures that are listed.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#backoff-limit-per-index>
#[tokio::test]
async fn indexed_jobs_are_limited() {
    let ground = Ground::new().await;

    let wide = faults(
        &ground,
        json!({
            "completionMode": "Indexed", "completions": 5, "parallelism": 100_001,
            "backoffLimitPerIndex": 1, "maxFailedIndexes": 6,
        }),
    )
    .await;
    let long = faults(
        &ground,
        json!({
            "completionMode": "Indexed", "completions": 100_001, "parallelism": 10_001,
            "backoffLimitPerIndex": 1,
        }),
    )
    .await;
    let lone = faults(
        &ground,
        json!({ "completionMode": "Indexed", "completions": 5, "maxFailedIndexes": 1 }),
    )
    .await;

    assert_eq!(
        wide,
        [
            "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when \
             completion mode is Indexed",
            "spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions",
        ]
    );
    assert_eq!(
        long,
        [
            "spec.maxFailedIndexes: Required value: must be specified when completions is above \
             100000",
            "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when \
             completions are above 100000 and used with backoff limit per index",
        ]
    );
    assert_eq!(
        lone,
        ["spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"]
    );
}

/// The Pods of an indexed Job are hosts whose name has to hold the index too.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode>
#[tokio::test]
async fn an_indexed_jobs_name_leaves_room() {
    let ground = Ground::new().await;
    let name = "a".repeat(62);
    let mut body = job(json!({ "completionMode": "Indexed", "completions": 11 }));
    body["metadata"]["name"] = name.as_str().into();

    let refused = ground.post(&ground.path("batch/v1", "jobs"), &body).await;

    let host = format!("{name}-10");
    let expected = format!(
        "metadata.name: Invalid value: {name:?}: will not able to create pod with invalid DNS label: \
         {host}"
    );
    assert!(causes(&refused).contains(&expected), "{}", refused.text);
}

/// Who manages a Job has a name of 63 bytes at most.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#delegation-of-managing-a-job-object-to-external-controller>
#[tokio::test]
async fn a_managers_name_is_short() {
    let ground = Ground::new().await;

    let long = faults(&ground, json!({ "managedBy": format!("example.com/{}", "a".repeat(52)) }));
    let odd = faults(&ground, json!({ "managedBy": "Example.com/a b" }));

    assert_eq!(long.await, ["spec.managedBy: Too long: may not be more than 63 bytes"]);
    let odd = odd.await;
    assert_eq!(odd.len(), 2, "{odd:#?}");
    assert!(odd[0].starts_with(r#"spec.managedBy: Invalid value: "Example.com": a lowercase RFC"#));
    assert!(odd[1].starts_with(r#"spec.managedBy: Invalid value: "a b": Invalid path (regex"#));
}

/// A success policy names indexes that the Job has, in order, and no more of them than there are.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#success-policy>
#[tokio::test]
async fn a_success_policy_fits_the_job() {
    let ground = Ground::new().await;
    let with = |rules: Value| {
        let policy = json!({ "rules": rules });
        json!({ "completionMode": "Indexed", "completions": 3, "successPolicy": policy })
    };
    let rules = json!([
        {}, { "succeededIndexes": "0-3" }, { "succeededIndexes": "1,0" },
        { "succeededIndexes": "x" }, { "succeededIndexes": "0-1-2" }, { "succeededCount": 4 },
        { "succeededIndexes": "0,2", "succeededCount": 3 },
    ]);

    let said = faults(&ground, with(rules)).await;
    let none = faults(&ground, with(json!([]))).await;
    let many = vec![json!({ "succeededCount": 1 }); 21];
    let many = faults(&ground, with(many.into())).await;

    let parsing = "error parsing succeededIndexes:";
    assert_eq!(
        said,
        [
            "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or \
             succeededIndexes must be specified"
                .to_owned(),
            format!(
                "spec.successPolicy.rules[1].succeededIndexes: Invalid value: \"0-3\": {parsing} too \
                 large index: \"3\""
            ),
            format!(
                "spec.successPolicy.rules[2].succeededIndexes: Invalid value: \"1,0\": {parsing} \
                 non-increasing order, previous: 1, current: 0"
            ),
            format!(
                "spec.successPolicy.rules[3].succeededIndexes: Invalid value: \"x\": {parsing} cannot \
                 convert string to integer for index: \"x\""
            ),
            format!(
                "spec.successPolicy.rules[4].succeededIndexes: Invalid value: \"0-1-2\": {parsing} the \
                 fragment \"0-1-2\" violates the requirement that an index interval can have at most \
                 two parts separated by '-'"
            ),
            "spec.successPolicy.rules[5].succeededCount: Invalid value: 4: must be less than or equal \
             to 3 (the number of specified completions)"
                .to_owned(),
            "spec.successPolicy.rules[6].succeededCount: Invalid value: 3: must be less than or equal \
             to 2 (the number of indexes in the specified succeededIndexes field)"
                .to_owned(),
        ]
    );
    assert_eq!(
        none,
        [
            "spec.successPolicy.rules: Required value: at least one rules must be specified when the \
             successPolicy is specified"
        ]
    );
    assert_eq!(many, ["spec.successPolicy.rules: Too many: 21: must have at most 20 items"]);
}

/// A failure policy names containers that there are and exit codes in order, each once.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy>
#[tokio::test]
async fn a_failure_policy_fits_the_job() {
    let ground = Ground::new().await;
    let codes = |values: Value| json!({ "operator": "In", "values": values });
    let mut other = codes(json!([1]));
    other["containerName"] = "other".into();
    let rules = json!([
        { "action": "FailIndex", "onExitCodes": codes(json!([1])) },
        { "action": "Count", "onExitCodes": codes(json!([])) },
        { "action": "Count", "onExitCodes": codes(json!([3, 2, 3])) },
        { "action": "Count", "onExitCodes": other },
        { "action": "", "onPodConditions": [{ "type": "a b", "status": "Maybe" }] },
    ]);

    let said = faults(&ground, json!({ "podFailurePolicy": { "rules": rules } })).await;
    let rule = json!({ "action": "Count", "onExitCodes": codes(json!([1])) });
    let rules = vec![rule; 21];
    let many = faults(&ground, json!({ "podFailurePolicy": { "rules": rules } })).await;

    let place = "spec.podFailurePolicy.rules";
    let expected = [
        "[0].action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set",
        "[1].onExitCodes.values: Invalid value: []: at least one value is required",
        "[2].onExitCodes.values[2]: Duplicate value: 3",
        "[2].onExitCodes.values: Invalid value: [3,2,3]: must be ordered",
        "[3].onExitCodes.containerName: Invalid value: \"other\": must be one of the container or \
         initContainer names in the pod template",
        "[4].action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
    ];
    let (fixed, conditions) = said.split_at(expected.len().min(said.len()));
    assert_eq!(fixed, expected.map(|it| format!("{place}{it}")));
    assert_eq!(conditions.len(), 2, "{conditions:#?}");
    let heads = [
        "[4].onPodConditions[0].type: Invalid value: \"a b\": name part must consist of",
        "[4].onPodConditions[0].status: Unsupported value: \"Maybe\": supported values: \"False\", \
         \"True\", \"Unknown\"",
    ];
    for (line, head) in conditions.iter().zip(heads) {
        assert!(line.starts_with(&format!("{place}{head}")), "{line}");
    }
    assert_eq!(many, ["spec.podFailurePolicy.rules: Too many: 21: must have at most 20 items"]);
}

/// A pattern of conditions that says no status means that the condition is true.
/// <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/>
#[tokio::test]
async fn a_condition_is_true_unless_said_otherwise() {
    let ground = Ground::new().await;
    let rule = json!({ "action": "Count", "onPodConditions": [{ "type": "DisruptionTarget" }] });
    let body = job(json!({ "suspend": true, "podFailurePolicy": { "rules": [rule] } }));

    let made = ground.post(&ground.path("batch/v1", "jobs"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    let rule = &made.json()["spec"]["podFailurePolicy"]["rules"][0];
    assert_eq!(rule["onPodConditions"][0]["status"], "True");
}
