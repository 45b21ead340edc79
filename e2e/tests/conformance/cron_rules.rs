//! CronJobs: defaults, schedules and zones.

use serde_json::json;

use crate::causes::causes;
use crate::ground::Ground;

/// A CronJob keeps three Jobs that succeeded and one that failed.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/>
#[tokio::test]
async fn a_cron_job_is_filled_in() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "schedule": "* * * * *",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [{"name": "c", "image": "i:1"}],
                        },
                    },
                },
            },
        },
    });

    let made = ground.post(&ground.path("batch/v1", "cronjobs"), &body).await;

    assert_eq!(made.code, 201, "{}", made.text);
    let made = made.json();
    assert_eq!(
        made["spec"],
        json!({
            "concurrencyPolicy": "Allow", "failedJobsHistoryLimit": 1,
            "jobTemplate": {
                "metadata": {},
                "spec": {
                    "template": {
                        "metadata": {},
                        "spec": {
                            "containers": [
                                {
                                    "image": "i:1", "imagePullPolicy": "IfNotPresent", "name": "c",
                                    "resources": {},
                                    "terminationMessagePath": "/dev/termination-log",
                                    "terminationMessagePolicy": "File",
                                },
                            ],
                            "dnsPolicy": "ClusterFirst", "restartPolicy": "Never",
                            "schedulerName": "default-scheduler", "securityContext": {},
                            "terminationGracePeriodSeconds": 30,
                        },
                    },
                },
            },
            "schedule": "* * * * *", "successfulJobsHistoryLimit": 3, "suspend": false,
        })
    );
    assert_eq!(made["status"], json!({}));
}

/// A CronJob without a spec has no schedule and no Job.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax>
#[tokio::test]
async fn a_cron_job_has_a_schedule() {
    let ground = Ground::new().await;
    let body = json!({"metadata": {"name": "one"}, "spec": {}});

    let refused = ground.post(&ground.path("batch/v1", "cronjobs"), &body).await;

    let said = causes(&refused);
    let heads = [
        "spec.schedule: Required value",
        "spec.jobTemplate.spec.template.spec.containers: Required value",
        "spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values:",
    ];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A schedule has five fields.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax>
#[tokio::test]
async fn a_schedule_has_five_fields() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "schedule": "* * * *",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [{"name": "c", "image": "i:1"}],
                        },
                    },
                },
            },
        },
    });

    let refused = ground.post(&ground.path("batch/v1", "cronjobs"), &body).await;

    assert_eq!(
        causes(&refused),
        [
            r#"spec.schedule: Invalid value: "* * * *": expected exactly 5 fields, found 4: [* * * *]"#
        ]
    );
}

/// Fields of a schedule are within their ranges.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax>
#[tokio::test]
async fn a_minute_is_below_sixty() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "schedule": "61 * * * *",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [{"name": "c", "image": "i:1"}],
                        },
                    },
                },
            },
        },
    });

    let refused = ground.post(&ground.path("batch/v1", "cronjobs"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61"#]
    );
}

/// The time zone is a field of its own.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#unsupported-timezone-specification>
#[tokio::test]
async fn a_schedule_names_no_zone() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "schedule": "TZ=UTC * * * * *",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [{"name": "c", "image": "i:1"}],
                        },
                    },
                },
            },
        },
    });

    let refused = ground.post(&ground.path("batch/v1", "cronjobs"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.schedule: Invalid value: "TZ=UTC * * * * *": cannot use TZ or CRON_TZ in sc"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// A time zone is one of those that there are.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#time-zones>
#[tokio::test]
async fn a_time_zone_is_known() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "schedule": "* * * * *",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [{"name": "c", "image": "i:1"}],
                        },
                    },
                },
            },
            "timeZone": "Nowhere/X",
        },
    });

    let refused = ground.post(&ground.path("batch/v1", "cronjobs"), &body).await;

    assert_eq!(
        causes(&refused),
        [r#"spec.timeZone: Invalid value: "Nowhere/X": unknown time zone Nowhere/X"#]
    );
}

/// Runs of a CronJob may overlap, or not, or replace each other.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#concurrency-policy>
#[tokio::test]
async fn concurrency_policies_are_three() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "schedule": "* * * * *",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [{"name": "c", "image": "i:1"}],
                        },
                    },
                },
            },
            "concurrencyPolicy": "X",
        },
    });

    let refused = ground.post(&ground.path("batch/v1", "cronjobs"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"spec.concurrencyPolicy: Unsupported value: "X": supported values: "Allow", "Forb"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}

/// No number of a CronJob is below nothing.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/>
#[tokio::test]
async fn no_amount_of_a_cron_job_is_negative() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "one"},
        "spec": {
            "schedule": "* * * * *",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [{"name": "c", "image": "i:1"}],
                        },
                    },
                },
            },
            "startingDeadlineSeconds": -1, "successfulJobsHistoryLimit": -1,
            "failedJobsHistoryLimit": -1,
        },
    });

    let refused = ground.post(&ground.path("batch/v1", "cronjobs"), &body).await;

    assert_eq!(
        causes(&refused),
        [
            "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
            "spec.successfulJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            "spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
        ]
    );
}

/// The name of a CronJob leaves room for those of its Jobs.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/>
#[tokio::test]
async fn a_name_of_a_cron_job_is_short() {
    let ground = Ground::new().await;
    let body = json!({
        "metadata": {"name": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        "spec": {
            "schedule": "* * * * *",
            "jobTemplate": {
                "spec": {
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [{"name": "c", "image": "i:1"}],
                        },
                    },
                },
            },
        },
    });

    let refused = ground.post(&ground.path("batch/v1", "cronjobs"), &body).await;

    let said = causes(&refused);
    let heads =
        [r#"metadata.name: Invalid value: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"#];
    assert_eq!(said.len(), heads.len(), "{said:#?}");
    for (line, head) in said.iter().zip(heads) {
        assert!(line.starts_with(head), "{line}");
    }
}
